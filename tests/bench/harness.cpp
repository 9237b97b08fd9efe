#include "harness.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>

namespace midtrace::bench {

namespace {

std::int64_t read_clock(clockid_t clock) noexcept {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec;
}

double median_of(std::vector<double>& samples) {
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::nth_element(samples.begin(), middle, samples.end());
  if (samples.size() % 2 != 0) return *middle;
  return (*middle + *std::max_element(samples.begin(), middle)) / 2;
}

template <class Function>
Estimate paired(std::size_t rounds, Function&& sample) {
  std::vector<double> samples;
  for (std::size_t round = 0; round < rounds; ++round)
    samples.push_back(sample(round));
  return estimate(std::move(samples));
}

std::string number(double value) {
  std::array<char, 48> text{};
  const double size = std::abs(value);
  const char* format = size == 0     ? "%.0f"
                       : size >= 100 ? "%.0f"
                       : size >= 10  ? "%.1f"
                       : size >= 0.1 ? "%.2f"
                                     : "%.4f";
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

// Exact enough for comparisons, and valid JSON.
std::string json_number(std::optional<double> value) {
  if (!value || !std::isfinite(*value)) return "null";
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%.6g", *value);
  return text.data();
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out += '"';
}

std::string verdict(const Row& row) {
  if (!row.void_reason.empty()) return "VOID: " + row.void_reason;
  const std::optional<bool> holds = row.holds();
  return !holds ? "" : *holds ? "holds" : "MISSED";
}

}  // namespace

Estimate estimate(std::vector<double> samples) {
  if (samples.empty()) return {};
  if (samples.size() == 1) return exactly(samples.front());
  constexpr std::size_t resamples = 2000;
  std::mt19937_64 random(1);  // the same samples give the same interval
  std::uniform_int_distribution<std::size_t> pick(0, samples.size() - 1);
  std::vector<double> drawn(samples.size());
  std::vector<double> medians(resamples);
  for (double& median : medians) {
    for (double& sample : drawn)
      sample = samples[pick(random)];
    median = median_of(drawn);
  }
  std::sort(medians.begin(), medians.end());
  return {median_of(samples), medians[resamples * 25 / 1000], medians[resamples * 975 / 1000 - 1]};
}

std::int64_t thread_cpu_nanos() noexcept { return read_clock(CLOCK_THREAD_CPUTIME_ID); }
std::int64_t wall_nanos() noexcept { return read_clock(CLOCK_MONOTONIC); }

void Rounds::add(std::size_t contestant, Cost first, Cost second) {
  nanos_[contestant].push_back((first.nanos + second.nanos) / 2);
  allocations_[contestant].push_back((first.allocations + second.allocations) / 2);
}

Estimate Rounds::cost(std::size_t contestant) const { return estimate(nanos_[contestant]); }

Estimate Rounds::added(std::size_t contestant, std::size_t base) const {
  return paired(nanos_[base].size(),
                [&](std::size_t round) { return nanos_[contestant][round] - nanos_[base][round]; });
}

Estimate Rounds::ratio(std::size_t contestant, std::size_t other, std::optional<std::size_t> base) const {
  return paired(nanos_[other].size(), [&](std::size_t round) {
    const double zero = base ? nanos_[*base][round] : 0;
    return (nanos_[contestant][round] - zero) / (nanos_[other][round] - zero);
  });
}

Estimate Rounds::growth(std::size_t later, std::size_t later_base, std::size_t earlier,
                        std::size_t earlier_base) const {
  return paired(nanos_[later].size(), [&](std::size_t round) {
    return (nanos_[later][round] - nanos_[later_base][round]) /
           (nanos_[earlier][round] - nanos_[earlier_base][round]);
  });
}

double Rounds::allocations(std::size_t contestant) const {
  return *std::max_element(allocations_[contestant].begin(), allocations_[contestant].end());
}

Rounds interleave(std::span<const Contestant> contestants, std::size_t rounds) {
  constexpr std::size_t warm_up = 3;
  const std::size_t count = contestants.size();
  Rounds result(count);
  std::vector<Cost> first(count);
  for (std::size_t round = 0; round < warm_up + rounds; ++round) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t contestant = (round + i) % count;
      first[contestant] = contestants[contestant].block();
    }
    for (std::size_t i = count; i-- > 0;) {
      const std::size_t contestant = (round + i) % count;
      const Cost second = contestants[contestant].block();
      if (round >= warm_up) result.add(contestant, first[contestant], second);
    }
  }
  return result;
}

std::optional<double> Row::budget() const {
  if (at_most_of_reference && reference) return *at_most_of_reference * reference->value.median;
  return at_most;
}

std::optional<bool> Row::holds() const {
  if (!void_reason.empty()) return false;
  if (at_most_of_reference && reference) return reference->ratio.high <= *at_most_of_reference;
  if (at_most) return value.high <= *at_most;
  return {};
}

void Session::add(Row row) {
  std::fprintf(stderr, "  %s: %s %s %s\n", row.name.c_str(), number(row.value.median).c_str(),
               row.unit.c_str(), verdict(row).c_str());
  rows_.push_back(std::move(row));
}

std::string table(std::span<const Row> rows) {
  using Line = std::array<std::string, 7>;
  std::vector<Line> lines{{"measure", "median", "95 % interval", "reference", "ratio", "budget", ""}};
  for (const Row& row : rows) {
    Line line;
    line[0] = row.name;
    if (row.void_reason.empty()) {
      line[1] = number(row.value.median) + ' ' + row.unit;
      if (row.value.low != row.value.high) line[2] = number(row.value.low) + " .. " + number(row.value.high);
    }
    if (row.reference) {
      line[3] = number(row.reference->value.median) + "  " + row.reference->name;
      line[4] = number(row.reference->ratio.median);
    }
    if (const auto budget = row.budget()) {
      line[5] = "<= " + number(*budget);
      if (row.at_most_of_reference && row.reference)
        line[5] += " (" + number(*row.at_most_of_reference) + " x reference)";
    }
    line[6] = verdict(row);
    lines.push_back(std::move(line));
  }
  std::array<std::size_t, 7> widths{};
  for (const Line& line : lines) {
    for (std::size_t column = 0; column < line.size(); ++column)
      widths[column] = std::max(widths[column], line[column].size());
  }
  std::string out;
  for (const Line& line : lines) {
    std::string text;
    for (std::size_t column = 0; column < line.size(); ++column) {
      const std::string padding(widths[column] - line[column].size() + 2, ' ');
      const bool to_the_right = column == 1 || column == 4;
      text += to_the_right ? padding.substr(2) + line[column] + "  " : line[column] + padding;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + '\n';
  }
  return out;
}

std::string json(std::span<const Row> rows) {
  std::string out = "[";
  for (const Row& row : rows) {
    const bool valid = row.void_reason.empty();
    const auto holds = row.holds();
    out += out.size() == 1 ? "\n" : ",\n";
    out += R"(  {"name": )" + json_string(row.name);
    out += R"(, "value": )" + json_number(valid ? std::optional(row.value.median) : std::nullopt);
    out += R"(, "unit": )" + json_string(row.unit);
    out += R"(, "reference": )" + (row.reference ? json_string(row.reference->name) : "null");
    out += R"(, "reference_value": )" +
           json_number(row.reference ? std::optional(row.reference->value.median) : std::nullopt);
    out += R"(, "ratio": )" +
           json_number(row.reference && valid ? std::optional(row.reference->ratio.median) : std::nullopt);
    out += R"(, "budget": )" + json_number(row.budget());
    out += std::string(R"(, "holds": )") + (!holds ? "null" : *holds ? "true" : "false") + "}";
  }
  return out += "\n]\n";
}

std::string machine() {
  std::string processor = "unknown processor";
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.starts_with("model name")) {
      processor = line.substr(line.find(':') + 2);
      break;
    }
  }
  double load = 0;
  getloadavg(&load, 1);
#if defined(__clang__)
  const std::string compiler = "clang " __clang_version__;
#else
  const std::string compiler = "g++ " __VERSION__;
#endif
  return processor + ", " + std::to_string(sysconf(_SC_NPROCESSORS_ONLN)) + " cores, load " + number(load) +
         ", " + compiler;
}

std::vector<double> run_child(std::string_view name) {
  std::array<char, 4096> path{};
  const ssize_t size = readlink("/proc/self/exe", path.data(), path.size() - 1);
  if (size <= 0) return {};
  std::string command = "'";
  for (const char c : std::string_view(path.data(), static_cast<std::size_t>(size)))
    command += c == '\'' ? std::string(R"('\'')") : std::string(1, c);
  command += "' --child ";
  command += name;
  std::FILE* output = popen(command.c_str(), "r");
  if (output == nullptr) return {};
  std::vector<double> values;
  for (double value = 0; std::fscanf(output, "%lf", &value) == 1;)
    values.push_back(value);
  return pclose(output) == 0 ? values : std::vector<double>{};
}

}  // namespace midtrace::bench
