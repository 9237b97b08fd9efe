// The samplers that OTEL_TRACES_SAMPLER can name, as a table.
//
// Shared by make_sampler() and by what reads the environment, which tells the user what there is. Any thread.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <midtrace/trace/sampler.h>

namespace midtrace {
inline namespace v1 {

struct NamedSampler {
  std::string_view name;  // in lower case, without `parentbased_`
  // What its argument is, as a part of a sentence ("a number from 0 to 1"); empty: it takes none.
  std::string_view argument;
  double least;
  double most;
  double when_unset;
  std::shared_ptr<Sampler> (*make)(double argument);
};

struct SamplerChoice {
  const NamedSampler* sampler = nullptr;  // null: not known
  bool parent_based = false;
};

// In any case.
SamplerChoice find_sampler(std::string_view name);
// Nothing when it is not such a number.
std::optional<double> read_argument(const NamedSampler& sampler, std::string_view argument) noexcept;
std::shared_ptr<Sampler> make_sampler(const SamplerChoice& choice, double argument);
// "always_on, always_off, ..."
std::string sampler_names();

}  // namespace v1
}  // namespace midtrace
