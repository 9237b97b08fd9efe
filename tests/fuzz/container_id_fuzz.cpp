// Whatever the kernel's files hold, what is taken for the id of the container is 64 hexadecimal digits out of
// one of them.
//
// A NUL in the input separates /proc/self/cgroup from /proc/self/mountinfo.
#include <functional>
#include <string_view>

#include "check.h"
#include "config/detectors.h"

namespace {

bool is_part_of(std::string_view part, std::string_view whole) {
  const std::less_equal<const char*> not_behind;
  return not_behind(whole.data(), part.data()) &&
         not_behind(part.data() + part.size(), whole.data() + whole.size());
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string_view mountinfo = midtrace_fuzz::text_of(bytes, size);
  const std::string_view cgroup = midtrace_fuzz::take_line(mountinfo, '\0');
  const std::string_view id = midtrace::container_id(cgroup, mountinfo);
  if (id.empty()) return 0;
  FUZZ_CHECK(id.size() == 64);
  FUZZ_CHECK(id.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos);
  FUZZ_CHECK(is_part_of(id, cgroup) || is_part_of(id, mountinfo));
  FUZZ_CHECK(midtrace::container_id(is_part_of(id, cgroup) ? cgroup : std::string_view(), mountinfo) == id);
  return 0;
}
