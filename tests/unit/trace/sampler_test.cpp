// The samplers by themselves: what each decides from its input, their descriptions, and how they are named.
#include <clocale>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <midtrace/trace/sampler.h>

namespace midtrace {
namespace {

SpanContext parent_context(bool sampled, bool remote) {
  SpanContext context;
  context.trace_id = {1, 2};
  context.span_id = {3};
  context.flags.bits = sampled ? TraceFlags::sampled_bit : 0;
  context.remote = remote;
  return context;
}

Decision decide(Sampler& sampler, TraceId trace_id, const SpanContext* parent = nullptr,
                std::span<const Link> links = {}) {
  return sampler.sample({parent, trace_id, "name", SpanKind::internal, links, {}}).decision;
}

TEST(AlwaysOnSampler, keeps_and_AlwaysOffSampler_drops_whatever_the_parent_says) {
  const SpanContext sampled = parent_context(true, true);
  const SpanContext unsampled = parent_context(false, false);
  for (const SpanContext* parent : {static_cast<const SpanContext*>(nullptr), &sampled, &unsampled}) {
    EXPECT_EQ(decide(*always_on_sampler(), {1, 2}, parent), Decision::record_and_sample);
    EXPECT_EQ(decide(*always_off_sampler(), {1, 2}, parent), Decision::drop);
  }
  EXPECT_EQ(decide(*always_on_sampler(), {~0ULL, ~0ULL}), Decision::record_and_sample);
}

TEST(RatioSampler, keeps_nothing_at_0_and_everything_at_1) {
  const auto none = trace_id_ratio_sampler(0.0);
  const auto all = trace_id_ratio_sampler(1.0);
  for (const TraceId id : {TraceId{0, 1}, TraceId{1, 0}, TraceId{~0ULL, ~0ULL}, TraceId{0, 1ULL << 63U}}) {
    EXPECT_EQ(decide(*none, id), Decision::drop);
    EXPECT_EQ(decide(*all, id), Decision::record_and_sample);
  }
}

TEST(RatioSampler, clamps_what_is_no_ratio) {
  EXPECT_EQ(trace_id_ratio_sampler(-1.0)->description(), "TraceIdRatioBased{0.000000}");
  EXPECT_EQ(trace_id_ratio_sampler(7.0)->description(), "TraceIdRatioBased{1.000000}");
  EXPECT_EQ(trace_id_ratio_sampler(std::nan(""))->description(), "TraceIdRatioBased{0.000000}");
  EXPECT_EQ(decide(*trace_id_ratio_sampler(std::numeric_limits<double>::infinity()), {0, ~0ULL}),
            Decision::record_and_sample);
}

TEST(RatioSampler, decides_by_the_low_half_of_the_trace_id_as_Go_and_Python_do) {
  const auto half = trace_id_ratio_sampler(0.5);
  EXPECT_EQ(decide(*half, {~0ULL, 0x7FFFFFFFFFFFFFFFULL}), Decision::record_and_sample);
  EXPECT_EQ(decide(*half, {0, 0x8000000000000000ULL}), Decision::drop);
  const auto tenth = trace_id_ratio_sampler(0.1);
  EXPECT_EQ(decide(*tenth, {0, 0x1999999999999999ULL}), Decision::record_and_sample);
  EXPECT_EQ(decide(*tenth, {0, 0x199999999999A000ULL}), Decision::drop);
}

TEST(RatioSampler, ignores_the_parent) {
  const auto half = trace_id_ratio_sampler(0.5);
  const SpanContext unsampled = parent_context(false, true);
  EXPECT_EQ(decide(*half, {0, 1}, &unsampled), Decision::record_and_sample);
  const SpanContext sampled = parent_context(true, true);
  EXPECT_EQ(decide(*half, {0, ~0ULL}, &sampled), Decision::drop);
}

TEST(RatioSampler, keeps_its_share_and_with_a_higher_ratio_all_that_a_lower_one_keeps) {
  std::mt19937_64 random(20240101);
  const std::vector<double> ratios{0.0001, 0.01, 0.1, 0.25, 0.5, 0.9, 0.999};
  std::vector<std::shared_ptr<Sampler>> samplers;
  for (const double ratio : ratios)
    samplers.push_back(trace_id_ratio_sampler(ratio));
  std::vector<int> kept(ratios.size());
  constexpr int traces = 200000;
  for (int i = 0; i < traces; ++i) {
    const TraceId id{random(), random()};
    bool lower = false;
    for (std::size_t s = 0; s < samplers.size(); ++s) {
      const bool keeps = decide(*samplers[s], id) == Decision::record_and_sample;
      EXPECT_TRUE(keeps || !lower) << "ratio " << ratios[s] << " drops what a lower one keeps";
      EXPECT_EQ(keeps, decide(*samplers[s], id) == Decision::record_and_sample);
      lower = keeps;
      kept[s] += keeps ? 1 : 0;
    }
  }
  for (std::size_t s = 0; s < ratios.size(); ++s) {
    const double expected = ratios[s] * traces;
    const double deviation = std::sqrt(traces * ratios[s] * (1 - ratios[s]));
    EXPECT_NEAR(kept[s], expected, 5 * deviation + 1) << ratios[s];
  }
}

TEST(RatioSampler, removes_the_probability_of_the_parent_which_is_not_its_own) {
  const auto all = trace_id_ratio_sampler(1.0);
  SpanContext parent = parent_context(true, true);
  parent.trace_state = TraceState::parse("ot=th:0;rv:00000000000001,a=b");
  const SamplingResult result = all->sample({&parent, parent.trace_id, "", SpanKind::internal, {}, {}});
  ASSERT_TRUE(result.trace_state);
  EXPECT_EQ(result.trace_state->header(), "ot=rv:00000000000001,a=b");
  parent.trace_state = TraceState::parse("ot=rv:00000000000001,a=b");
  EXPECT_FALSE(all->sample({&parent, parent.trace_id, "", SpanKind::internal, {}, {}}).trace_state);
}

// --- ProbabilitySampler, with trace ids chosen by hand

constexpr std::uint64_t randomness_end = 1ULL << 56U;

TEST(ProbabilitySampler, keeps_exactly_the_randomness_from_its_threshold_on) {
  const struct {
    double ratio;
    std::uint64_t threshold;
  } rows[] = {
      {1.0, 0},
      {0.5, 0x80000000000000},
      {0.25, 0xc0000000000000},
      {0.1, 0xe6660000000000},
      {0.01, 0xfd70a000000000},
      {0.99, 0x028f0000000000},
      {0x1p-56, 0xffffffffffffff},
  };
  for (const auto& row : rows) {
    const auto sampler = probability_sampler(row.ratio);
    // What is above the 56 bits does not count.
    for (const std::uint64_t above : {std::uint64_t{0}, std::uint64_t{0xFF} << 56U}) {
      EXPECT_EQ(decide(*sampler, {0, above | row.threshold}), Decision::record_and_sample) << row.ratio;
      EXPECT_EQ(decide(*sampler, {~0ULL, above | (randomness_end - 1)}), Decision::record_and_sample);
      if (row.threshold != 0) {
        EXPECT_EQ(decide(*sampler, {0, above | (row.threshold - 1)}), Decision::drop) << row.ratio;
        EXPECT_EQ(decide(*sampler, {~0ULL, above}), Decision::drop) << row.ratio;
      }
    }
  }
  for (const double ratio : {0.0, -1.0, 0x1p-57, std::nan("")})
    EXPECT_EQ(decide(*probability_sampler(ratio), {~0ULL, ~0ULL}), Decision::drop) << ratio;
}

TEST(ProbabilitySampler, keeps_its_share_of_ids_that_are_spread_evenly) {
  // 4096 ids, one in each of as many equal parts of the randomness: the share is exact but for one part.
  constexpr std::uint64_t parts = 4096;
  for (const double ratio : {0.0, 0.001, 0.01, 0.1, 1.0 / 3, 0.5, 0.99, 1.0}) {
    const auto sampler = probability_sampler(ratio);
    std::uint64_t kept = 0;
    for (std::uint64_t i = 0; i < parts; ++i)
      kept += decide(*sampler, {i, i * (randomness_end / parts)}) == Decision::record_and_sample ? 1U : 0U;
    EXPECT_NEAR(static_cast<double>(kept), ratio * parts, 1.0) << ratio;
  }
}

TEST(ProbabilitySampler, with_a_higher_ratio_keeps_all_that_a_lower_one_keeps) {
  std::mt19937_64 random(20240102);
  const double ratios[] = {0x1p-56, 1e-9, 0.0001, 0.01, 0.1, 0.1001, 0.25, 0.5, 0.9, 0.99999, 1.0};
  std::vector<std::shared_ptr<Sampler>> samplers;
  for (const double ratio : ratios)
    samplers.push_back(probability_sampler(ratio));
  for (int i = 0; i < 20000; ++i) {
    // Every other id is close to the end, where the small ratios differ.
    const TraceId id{random(), i % 2 == 0 ? random() : ~(random() >> (random() % 64))};
    bool lower = false;
    for (std::size_t s = 0; s < samplers.size(); ++s) {
      const bool keeps = decide(*samplers[s], id) == Decision::record_and_sample;
      EXPECT_TRUE(keeps || !lower) << ratios[s] << " drops what a lower ratio keeps";
      lower = keeps;
    }
    EXPECT_TRUE(lower) << "1 keeps everything";
  }
}

TEST(ProbabilitySampler, writes_its_threshold_and_reads_the_randomness) {
  constexpr const char* unchanged = "(as the parent's)";
  // The parent's trace id has the randomness 0x6e6d1a75832a2f, of which 75 % keeps and 50 % does not.
  const struct {
    double ratio;
    const char* inherited;
    bool kept;
    const char* becomes;
  } rows[] = {
      {0.75, "", true, "ot=th:4"},
      {0.5, "", false, unchanged},
      {1.0, "", true, "ot=th:0"},
      {0.0, "", false, unchanged},
      {0.75, "a=b", true, "ot=th:4,a=b"},
      {0.5, "a=b", false, unchanged},
      // The parent's own threshold is replaced, or removed from a span that is dropped.
      {0.75, "a=b,ot=th:8", true, "ot=th:4,a=b"},
      {0.5, "a=b,ot=th:4", false, "a=b"},
      {0.5, "ot=th:4;x:1", false, "ot=x:1"},
      {0.5, "ot=th:bad!", false, unchanged},  // no sub-key at all
      {0.5, "ot=th:XYZ", false, ""},
      // An explicit randomness beats the trace id's, and is never changed.
      {0.75, "ot=rv:3fffffffffffff", false, unchanged},
      {0.75, "ot=rv:40000000000000", true, "ot=th:4;rv:40000000000000"},
      {0x1p-56, "ot=rv:ffffffffffffff", true, "ot=th:ffffffffffffff;rv:ffffffffffffff"},
      {0x1p-56, "ot=rv:fffffffffffffe", false, unchanged},
      {0.75, "ot=th:4;rv:00000000000000;x:1", false, "ot=rv:00000000000000;x:1"},
      // A malformed one does not count.
      {0.75, "ot=rv:00", true, "ot=th:4"},
      {0.75, "ot=rv:0000000000000G;y:2", true, "ot=th:4;y:2"},
  };
  for (const auto& row : rows) {
    SpanContext parent = parent_context(false, true);
    parent.trace_id = {7, 0xab6e6d1a75832a2f};
    parent.flags.bits = TraceFlags::random_bit;
    parent.trace_state = TraceState::parse(row.inherited);
    const SamplingResult result =
        probability_sampler(row.ratio)->sample({&parent, parent.trace_id, "", SpanKind::internal, {}, {}});
    EXPECT_EQ(result.decision, row.kept ? Decision::record_and_sample : Decision::drop) << row.inherited;
    EXPECT_EQ(result.trace_state ? result.trace_state->header() : unchanged, row.becomes) << row.inherited;
  }
}

TEST(ParentBasedSampler, asks_its_root_for_roots_and_follows_the_parent_otherwise) {
  const auto sampler = parent_based_sampler({.root = always_off_sampler()});
  EXPECT_EQ(decide(*sampler, {1, 2}), Decision::drop);
  for (const bool remote : {false, true}) {
    const SpanContext sampled = parent_context(true, remote);
    const SpanContext unsampled = parent_context(false, remote);
    EXPECT_EQ(decide(*sampler, {1, 2}, &sampled), Decision::record_and_sample);
    EXPECT_EQ(decide(*sampler, {1, 2}, &unsampled), Decision::drop);
  }
}

TEST(ParentBasedSampler, asks_the_delegate_of_each_kind_of_parent) {
  // Each delegate in turn decides against its default.
  for (int chosen = 0; chosen < 5; ++chosen) {
    ParentBasedOptions options;
    if (chosen == 0) options.remote_parent_sampled = always_off_sampler();
    if (chosen == 1) options.remote_parent_not_sampled = always_on_sampler();
    if (chosen == 2) options.local_parent_sampled = always_off_sampler();
    if (chosen == 3) options.local_parent_not_sampled = always_on_sampler();
    const auto sampler = parent_based_sampler(options);
    const auto kept = [&](bool sampled, bool remote) {
      const SpanContext parent = parent_context(sampled, remote);
      return decide(*sampler, {1, 2}, &parent) == Decision::record_and_sample;
    };
    EXPECT_EQ(kept(true, true), chosen != 0);
    EXPECT_EQ(kept(false, true), chosen == 1);
    EXPECT_EQ(kept(true, false), chosen != 2);
    EXPECT_EQ(kept(false, false), chosen == 3);
  }
}

TEST(ParentBasedSampler, asks_its_root_when_a_remote_parent_deferred_the_decision) {
  const auto sampler =
      parent_based_sampler({.root = always_off_sampler(), .remote_parent_not_sampled = always_on_sampler()});
  SpanContext parent = parent_context(true, true);
  parent.flags.bits |= TraceFlags::deferred_bit;
  EXPECT_EQ(decide(*sampler, {1, 2}, &parent), Decision::drop);
  parent.remote = false;
  EXPECT_EQ(decide(*sampler, {1, 2}, &parent), Decision::record_and_sample) << "no local span is deferred";
}

TEST(ParentBasedSampler, follows_the_links_of_a_root) {
  const Link sampled{parent_context(true, true)};
  const Link unsampled{parent_context(false, true)};
  const Link nowhere{};
  const auto kept_with_root = [](std::shared_ptr<Sampler> root, std::vector<Link> links, bool follow = true) {
    const auto sampler = parent_based_sampler({.root = std::move(root), .roots_follow_links = follow});
    return decide(*sampler, {1, 2}, nullptr, links) == Decision::record_and_sample;
  };
  EXPECT_TRUE(kept_with_root(always_off_sampler(), {sampled}));
  EXPECT_TRUE(kept_with_root(always_off_sampler(), {unsampled, unsampled, sampled}));
  EXPECT_FALSE(kept_with_root(always_on_sampler(), {unsampled}));
  EXPECT_FALSE(kept_with_root(always_on_sampler(), {nowhere, unsampled}))
      << "one creator, who did not sample";
  EXPECT_TRUE(kept_with_root(always_on_sampler(), {unsampled, unsampled}));
  EXPECT_FALSE(kept_with_root(always_off_sampler(), {unsampled, unsampled}));
  EXPECT_TRUE(kept_with_root(always_on_sampler(), {nowhere}));
  EXPECT_TRUE(kept_with_root(always_on_sampler(), {unsampled}, false));
  EXPECT_FALSE(kept_with_root(always_off_sampler(), {sampled}, false));
}

TEST(ParentBasedSampler, lets_a_parent_decide_before_any_link) {
  const auto sampler = parent_based_sampler({});
  const std::vector<Link> links{{parent_context(true, true)}};
  const SpanContext unsampled = parent_context(false, false);
  EXPECT_EQ(decide(*sampler, {1, 2}, &unsampled, links), Decision::drop);
}

TEST(Samplers, describe_themselves_as_the_specification_says) {
  EXPECT_EQ(always_on_sampler()->description(), "AlwaysOnSampler");
  EXPECT_EQ(always_off_sampler()->description(), "AlwaysOffSampler");
  // Decimals enough to tell ratios apart, and at least six.
  const struct {
    double ratio;
    const char* text;
  } rows[] = {
      {0.0001, "0.000100"}, {0.0, "0.000000"},   {-0.0, "0.000000"},
      {1.0, "1.000000"},    {0.5, "0.500000"},   {1.0 / 3, "0.3333333333333333"},
      {1e-7, "0.0000001"},  {2e-7, "0.0000002"}, {5e-324, nullptr},
  };
  for (const auto& row : rows) {
    const std::string by_ratio = trace_id_ratio_sampler(row.ratio)->description();
    const std::string by_probability = probability_sampler(row.ratio)->description();
    if (row.text == nullptr) {
      EXPECT_EQ(by_ratio.size(), std::string("TraceIdRatioBased{0.}").size() + 324);
      continue;
    }
    EXPECT_EQ(by_ratio, std::string("TraceIdRatioBased{") + row.text + "}");
    EXPECT_EQ(by_probability, std::string("ProbabilitySampler{") + row.text + "}");
  }
  EXPECT_EQ(parent_based_sampler({.root = trace_id_ratio_sampler(0.5)})->description(),
            "ParentBased{root=TraceIdRatioBased{0.500000},remoteParentSampled=AlwaysOnSampler,"
            "remoteParentNotSampled=AlwaysOffSampler,localParentSampled=AlwaysOnSampler,"
            "localParentNotSampled=AlwaysOffSampler}");
}

TEST(Samplers, say_what_they_need) {
  EXPECT_FALSE(probability_sampler(0.5)->needs().links);
  EXPECT_FALSE(always_on_sampler()->needs().links);
  EXPECT_FALSE(trace_id_ratio_sampler(0.5)->needs().links);
  EXPECT_TRUE(parent_based_sampler({})->needs().links);
  EXPECT_FALSE(parent_based_sampler({.roots_follow_links = false})->needs().links);
  EXPECT_FALSE(parent_based_sampler({})->needs().attributes);
}

TEST(MakeSampler, knows_the_names_of_the_specification_and_ours_in_any_case) {
  const auto described = [](std::string_view name, std::string_view argument = {}) {
    std::string error;
    const auto sampler = make_sampler(name, argument, error);
    EXPECT_EQ(error, "");
    return sampler != nullptr ? sampler->description() : std::string();
  };
  const auto parent_based = [](const std::string& root) {
    return "ParentBased{root=" + root +
           ",remoteParentSampled=AlwaysOnSampler,remoteParentNotSampled=AlwaysOffSampler,"
           "localParentSampled=AlwaysOnSampler,localParentNotSampled=AlwaysOffSampler}";
  };
  EXPECT_EQ(described("always_on"), "AlwaysOnSampler");
  EXPECT_EQ(described("ALWAYS_OFF"), "AlwaysOffSampler");
  EXPECT_EQ(described("traceidratio", "0.25"), "TraceIdRatioBased{0.250000}");
  EXPECT_EQ(described("TraceIdRatio", "1e-4"), "TraceIdRatioBased{0.000100}");
  EXPECT_EQ(described("traceidratio"), "TraceIdRatioBased{1.000000}");
  EXPECT_EQ(described("always_on", "ignored"), "AlwaysOnSampler");
  EXPECT_EQ(described("parentbased_always_on"), parent_based("AlwaysOnSampler"));
  EXPECT_EQ(described("parentbased_always_off"), parent_based("AlwaysOffSampler"));
  EXPECT_EQ(described("ParentBased_TraceIdRatio", "0.5"), parent_based("TraceIdRatioBased{0.500000}"));
  EXPECT_EQ(described("probability", "0.25"), "ProbabilitySampler{0.250000}");
  EXPECT_EQ(described("parentbased_probability"), parent_based("ProbabilitySampler{1.000000}"));
  EXPECT_EQ(described("Rate_Limiting", "20"), "RateLimitingSampler{20.000000,burst=20}");
  EXPECT_EQ(described("parentbased_rate_limiting"),
            parent_based("RateLimitingSampler{100.000000,burst=100}"));
}

TEST(MakeSampler, explains_what_it_does_not_know) {
  for (const char* name : {"", "sometimes", "always_on ", "parentbased_", "parentbased_parentbased_always_on",
                           "jaeger_remote", "parentbased_jaeger_remote", "xray", "parentbased_xray"}) {
    std::string error;
    EXPECT_EQ(make_sampler(name, "", error), nullptr) << name;
    EXPECT_NE(error.find(std::string("'") + name + "'"), std::string::npos) << error;
    EXPECT_NE(error.find("always_on, always_off, traceidratio"), std::string::npos) << error;
  }
  for (const char* argument :
       {"half", "-0.1", "1.1", "0.5x", "nan", "inf", " ", "0,5", "1e400", "0x1p-2", "--1"}) {
    std::string error;
    EXPECT_EQ(make_sampler("traceidratio", argument, error), nullptr) << argument;
    EXPECT_NE(error.find(std::string("'") + argument + "'"), std::string::npos) << error;
    error.clear();
    EXPECT_EQ(make_sampler("parentbased_probability", argument, error), nullptr) << argument;
    EXPECT_NE(error.find(std::string("'") + argument + "'"), std::string::npos) << error;
  }
  for (const char* argument : {"-1", "1e10", "many", "nan", "inf"}) {
    std::string error;
    EXPECT_EQ(make_sampler("rate_limiting", argument, error), nullptr) << argument;
    EXPECT_NE(error.find("traces per second"), std::string::npos) << error;
  }
}

// Puts the numeric locale back whatever happens.
class NumericLocale {
 public:
  explicit NumericLocale(const char* name) : before_(std::setlocale(LC_NUMERIC, nullptr)) {
    chosen_ = std::setlocale(LC_NUMERIC, name) != nullptr;
  }
  ~NumericLocale() { std::setlocale(LC_NUMERIC, before_.c_str()); }
  NumericLocale(const NumericLocale&) = delete;
  NumericLocale& operator=(const NumericLocale&) = delete;
  bool chosen() const { return chosen_; }

 private:
  std::string before_;
  bool chosen_ = false;
};

TEST(MakeSampler, reads_and_writes_numbers_whatever_the_locale) {
  // Any locale with a decimal comma; whichever of them the machine has.
  for (const char* name : {"C", "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "nl_NL.UTF-8"}) {
    const NumericLocale locale(name);
    if (!locale.chosen()) continue;
    std::string error;
    const auto sampler = make_sampler("traceidratio", "0.25", error);
    ASSERT_NE(sampler, nullptr) << name << ": " << error;
    EXPECT_EQ(sampler->description(), "TraceIdRatioBased{0.250000}") << name;
  }
}

}  // namespace
}  // namespace midtrace
