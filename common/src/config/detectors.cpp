#include "detectors.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <optional>

#include <midtrace/semconv/attributes.h>

#include "../export/utf8.h"

namespace midtrace {
inline namespace v1 {

namespace {

// As much of a file as the answers can be in; empty when it cannot be read.
std::string read_beginning(const char* path) {
  constexpr std::size_t most = 256 * 1024;
  std::ifstream file(path, std::ios::binary);
  std::string text(most, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return text;
}

std::string executable_path() {
  std::array<char, 4096> path{};
  const ssize_t size = readlink("/proc/self/exe", path.data(), path.size());
  return size > 0 ? std::string(path.data(), static_cast<std::size_t>(size)) : std::string();
}

// The names of the conventions for the machine types of uname().
std::string_view host_arch(std::string_view machine) noexcept {
  constexpr std::array<std::array<std::string_view, 2>, 8> known{{{"x86_64", "amd64"},
                                                                  {"aarch64", "arm64"},
                                                                  {"armv7l", "arm32"},
                                                                  {"armv6l", "arm32"},
                                                                  {"i686", "x86"},
                                                                  {"i386", "x86"},
                                                                  {"ppc64le", "ppc64"},
                                                                  {"s390x", "s390x"}}};
  for (const auto& [name, convention] : known) {
    if (machine == name) return convention;
  }
  return machine;
}

bool is_hex(char c) noexcept { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

// The first run of exactly 64 hexadecimal digits.
std::string_view find_id(std::string_view text) noexcept {
  constexpr std::size_t length = 64;
  for (std::size_t begin = 0; begin < text.size();) {
    if (!is_hex(text[begin])) {
      ++begin;
      continue;
    }
    std::size_t end = begin;
    while (end < text.size() && is_hex(text[end]))
      ++end;
    if (end - begin == length) return text.substr(begin, length);
    begin = end;
  }
  return {};
}

// What stands before the first `separator`, or all; it is taken off, with the separator.
std::string_view take_until(std::string_view& text, char separator) noexcept {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

std::string_view take_line(std::string_view& text) noexcept { return take_until(text, '\n'); }

// The id in a line of mountinfo, where the line is that of a file which the container runtime mounts into a
// container from a directory of the container's own: .../containers/<id>/hostname on /etc/hostname. Only
// there: a host's own mounts name the containers that run on it. containerd's .../sandboxes/<id>/hostname is
// the pod's, not the container's.
std::string_view id_of_mount(std::string_view line) noexcept {
  constexpr std::size_t root_field = 3;
  for (std::size_t field = 0; field < root_field; ++field)
    take_until(line, ' ');
  const std::string_view root = take_until(line, ' ');
  const std::string_view mount_point = take_until(line, ' ');
  constexpr std::string_view mount_points[] = {"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"};
  if (std::find(std::begin(mount_points), std::end(mount_points), mount_point) == std::end(mount_points))
    return {};
  for (const std::string_view mark : {"/containers/", "/overlay-containers/"}) {
    // The last one: a runtime's directory may itself lie below a directory of that name.
    const std::size_t at = root.rfind(mark);
    if (at == std::string_view::npos) continue;
    const std::string_view rest = root.substr(at + mark.size());
    const std::string_view directory = rest.substr(0, rest.find('/'));
    if (const std::string_view id = find_id(directory); id.size() == directory.size() && !id.empty())
      return id;
  }
  return {};
}

void add_process(std::vector<ResourceAttribute>& found) {
  found.push_back({std::string(semconv::process_pid.name()), static_cast<std::int64_t>(getpid())});
  std::string path = executable_path();
  if (path.empty() || !is_utf8(path)) return;
  const std::string name = path.substr(path.rfind('/') + 1);
  found.push_back({std::string(semconv::process_executable_name.name()), name});
  found.push_back({std::string(semconv::process_executable_path.name()), std::move(path)});
}

void add_host(std::vector<ResourceAttribute>& found) {
  utsname system{};
  if (uname(&system) == 0) {
    if (is_utf8(system.nodename)) {
      found.push_back({std::string(semconv::host_name.name()), std::string(system.nodename)});
    }
    found.push_back({std::string(semconv::host_arch.name()), std::string(host_arch(system.machine))});
    found.push_back({std::string(semconv::os_type.name()), std::string("linux")});
    found.push_back({std::string(semconv::os_version.name()), std::string(system.release)});
  }
  const std::string machine = read_beginning("/etc/machine-id");
  const std::string_view id = std::string_view(machine).substr(0, machine.find('\n'));
  if (id.size() == 32 && std::all_of(id.begin(), id.end(), is_hex)) {
    found.push_back({std::string(semconv::host_id.name()), std::string(id)});
  }
}

}  // namespace

std::string_view container_id(std::string_view cgroup, std::string_view mountinfo) noexcept {
  // The last part of a path like /docker/<id>, /kubepods/.../<id>, /system.slice/docker-<id>.scope.
  while (!cgroup.empty()) {
    const std::string_view line = take_line(cgroup);
    const std::size_t slash = line.rfind('/');
    if (slash == std::string_view::npos) continue;
    if (const std::string_view id = find_id(line.substr(slash + 1)); !id.empty()) return id;
  }
  while (!mountinfo.empty()) {
    if (const std::string_view id = id_of_mount(take_line(mountinfo)); !id.empty()) return id;
  }
  return {};
}

std::vector<ResourceAttribute> detect_resource(const ResourceDetectors& wanted) {
  std::vector<ResourceAttribute> found;
  if (wanted.process) add_process(found);
  if (wanted.host) add_host(found);
  if (wanted.container) {
    const std::string cgroup = read_beginning("/proc/self/cgroup");
    const std::string mountinfo = read_beginning("/proc/self/mountinfo");
    if (const std::string_view id = container_id(cgroup, mountinfo); !id.empty()) {
      found.push_back({std::string(semconv::container_id.name()), std::string(id)});
    }
  }
  return found;
}

ResourceDetectors detectors_from(const Environment& environment) {
  constexpr const char* variable = "MIDTRACE_RESOURCE_DETECTORS";
  const std::optional<std::vector<std::string>> names = environment.words(variable);
  if (!names) return {};
  ResourceDetectors wanted{.process = false, .host = false, .container = false};
  for (const std::string& name : *names) {
    if (name == "all") {
      wanted = {};
    } else if (name == "process") {
      wanted.process = true;
    } else if (name == "host") {
      wanted.host = true;
    } else if (name == "container") {
      wanted.container = true;
    } else if (name != "none") {
      environment.warn(variable, std::string(variable) + " names " + quoted(name) +
                                     ", which midtrace does not have; ignored. There are process, host, "
                                     "container, all and none");
    }
  }
  return wanted;
}

void renew_resource_in_child(Resource& resource) {
  const std::string_view key = semconv::process_pid.name();
  if (resource.find(key) != nullptr) resource.set(key, static_cast<std::int64_t>(getpid()));
}

}  // namespace v1
}  // namespace midtrace
