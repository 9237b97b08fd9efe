#include "reference.h"

namespace midtrace::bench {

std::string reference_name() { return {}; }
std::optional<ReferenceContestant> reference_sampled_span(std::size_t) { return {}; }
std::optional<ReferenceContestant> reference_unsampled_span(std::size_t) { return {}; }
std::optional<ReferenceContestant> reference_inject(std::size_t) { return {}; }
std::optional<ReferenceContestant> reference_extract(std::size_t) { return {}; }
std::optional<ReferenceSend> reference_send(std::size_t) { return {}; }

}  // namespace midtrace::bench
