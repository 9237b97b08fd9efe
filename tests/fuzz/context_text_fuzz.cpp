// A context as text: whatever is read is written and read back as it was, and written text is read whole.
#include <string>
#include <string_view>

#include <midtrace/propagation/context_text.h>

#include "check.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view input = midtrace_fuzz::text_of(bytes, size);
  const midtrace::Context context = midtrace::context_from_text(input);
  FUZZ_CHECK(!context.suppressed);
  const std::string text = midtrace::context_to_text(context);
  const midtrace::Context again = midtrace::context_from_text(text);
  FUZZ_CHECK(again.span == context.span);
  FUZZ_CHECK(midtrace::context_to_text(again) == text);
  return 0;
}
