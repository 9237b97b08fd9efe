#include "named_samplers.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include <midtrace/trace/rate_limiting_sampler.h>

#include "../config/environment.h"

namespace midtrace {
inline namespace v1 {

namespace {

constexpr std::string_view parent_based_prefix = "parentbased_";
constexpr std::string_view a_ratio = "a number from 0 to 1";
constexpr double most_traces_per_second = 1e9;

constexpr NamedSampler samplers[] = {
    {"always_on", {}, 0, 0, 0, [](double) { return always_on_sampler(); }},
    {"always_off", {}, 0, 0, 0, [](double) { return always_off_sampler(); }},
    {"traceidratio", a_ratio, 0, 1, 1, &trace_id_ratio_sampler},
    {"probability", a_ratio, 0, 1, 1, &probability_sampler},
    {"rate_limiting", "a number of traces per second from 0 to 1000000000", 0, most_traces_per_second, 100,
     [](double argument) { return rate_limiting_sampler({.traces_per_second = argument}); }},
};

}  // namespace

SamplerChoice find_sampler(std::string_view name) {
  const std::string known = lower_case(name);
  std::string_view rule = known;
  SamplerChoice choice;
  choice.parent_based = rule.starts_with(parent_based_prefix);
  if (choice.parent_based) rule.remove_prefix(parent_based_prefix.size());
  const auto* const found = std::find_if(std::begin(samplers), std::end(samplers),
                                         [rule](const NamedSampler& entry) { return entry.name == rule; });
  if (found != std::end(samplers)) choice.sampler = found;
  return choice;
}

std::optional<double> read_argument(const NamedSampler& sampler, std::string_view argument) noexcept {
  // Not strtod, which asks the application's locale.
  double number = 0;
  const char* const end = argument.data() + argument.size();
  const auto [stop, failure] = std::from_chars(argument.data(), end, number);
  if (failure != std::errc() || stop != end || !(number >= sampler.least && number <= sampler.most))
    return std::nullopt;
  return number;
}

std::shared_ptr<Sampler> make_sampler(const SamplerChoice& choice, double argument) {
  std::shared_ptr<Sampler> sampler = choice.sampler->make(argument);
  if (!choice.parent_based) return sampler;
  ParentBasedOptions options;
  options.root = std::move(sampler);
  return parent_based_sampler(std::move(options));
}

std::string sampler_names() {
  std::string names;
  for (const std::string_view prefix : {std::string_view(), parent_based_prefix}) {
    for (const NamedSampler& sampler : samplers)
      names.append(names.empty() ? "" : ", ").append(prefix).append(sampler.name);
  }
  return names;
}

std::shared_ptr<Sampler> make_sampler(std::string_view name, std::string_view argument, std::string& error) {
  const SamplerChoice choice = find_sampler(name);
  if (choice.sampler == nullptr) {
    error = "'" + std::string(name) + "' is not one of " + sampler_names();
    return nullptr;
  }
  double number = choice.sampler->when_unset;
  if (!choice.sampler->argument.empty() && !argument.empty()) {
    const std::optional<double> read = read_argument(*choice.sampler, argument);
    if (!read) {
      error = "'" + std::string(argument) + "' is not " + std::string(choice.sampler->argument);
      return nullptr;
    }
    number = *read;
  }
  return make_sampler(choice, number);
}

}  // namespace v1
}  // namespace midtrace
