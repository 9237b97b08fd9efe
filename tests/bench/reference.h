// The same operations done with another SDK, to compare with in the same run.
//
// Present when the build found one (reference_opentelemetry.cpp); otherwise every function returns nothing
// and the budgets in absolute figures count. A contestant checks itself: `problem` says why its figure must
// not be used.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "harness.h"

namespace midtrace::bench {

struct ReferenceContestant {
  Contestant contestant;
  std::function<std::string()> problem;
};

std::string reference_name();
std::optional<ReferenceContestant> reference_sampled_span(std::size_t operations);
std::optional<ReferenceContestant> reference_unsampled_span(std::size_t operations);
std::optional<ReferenceContestant> reference_inject(std::size_t operations);
std::optional<ReferenceContestant> reference_extract(std::size_t operations);

// One message traced by hand: `begin` starts a sampled span with eight attributes and writes the header's 55
// characters, `end` ends it. Calls alternate, on one thread.
struct ReferenceSend {
  std::function<void(char* traceparent)> begin;
  std::function<void()> end;
  std::function<void()> flush;
  std::function<std::string()> problem;
};
std::optional<ReferenceSend> reference_send(std::size_t queue_size);

}  // namespace midtrace::bench
