#include "baggage_problems.h"

#include <midtrace/trace/counters.h>

#include "problem.h"

namespace midtrace {
inline namespace v1 {

[[gnu::cold]] void report_malformed_baggage(std::uint64_t members) noexcept {
  count(Counter::extract_malformed_baggage, members);
  Problem()
      .text(
          "a baggage header has members or properties that are not valid; they were left out and the others "
          "kept; ")
      .text("look at what sets the header at the sender")
      .report(Severity::warning, "propagation.baggage");
}

[[gnu::cold]] void report_baggage_dropped_on_extract(std::uint64_t members) noexcept {
  count(Counter::baggage_members_dropped, members);
  Problem()
      .text("received baggage has more than 64 members or 8192 bytes; what is beyond was dropped; ")
      .text("put less into the baggage at the sender")
      .report(Severity::warning, "propagation.baggage_limit");
}

[[gnu::cold]] void report_baggage_dropped_on_inject(std::uint64_t members,
                                                    std::string_view last_name) noexcept {
  count(Counter::baggage_members_dropped, members);
  Problem()
      .text("the baggage member ")
      .quote(last_name)
      .text(" was not sent: its name is not an HTTP token, or the header would be over 8192 bytes; ")
      .text("use a name of letters, digits, '-', '_' and '.', and put less into the baggage")
      .report(Severity::warning, "propagation.baggage_not_sent");
}

[[gnu::cold]] void report_baggage_metadata_dropped(std::uint64_t members,
                                                   std::string_view last_name) noexcept {
  count(Counter::baggage_metadata_dropped, members);
  Problem()
      .text("the baggage member ")
      .quote(last_name)
      .text(" was sent without its metadata, which is not what a header may hold; ")
      .text("write properties as key or key=value, separated by ';', without spaces, quotes and commas")
      .report(Severity::warning, "propagation.baggage_metadata_not_sent");
}

}  // namespace v1
}  // namespace midtrace
