// The `ot` member of a tracestate: what is read from it, how thresholds are computed and written, what a
// change leaves alone.
#include "context/ot_member.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <optional>
#include <string>

namespace {

using midtrace::OtMember;
using midtrace::TraceState;

using Number = std::optional<std::uint64_t>;

std::string digits_of(std::uint64_t threshold) {
  std::string text(OtMember::digits, '?');
  text.resize(midtrace::write_threshold(threshold, text.data()));
  return text;
}

std::string rewritten(std::string_view value, Number threshold) {
  std::string text(OtMember::longest, '?');
  text.resize(midtrace::rewrite_ot(value, threshold, text.data()));
  return text;
}

TEST(OtThreshold, OfAProbabilityIsWrittenWithFourDigitsAfterTheLeadingFs) {
  const struct {
    double probability;
    const char* digits;
  } rows[] = {
      // The specification's.
      {1.0, "0"},
      {0.5, "8"},
      {0.25, "c"},
      {0.1, "e666"},
      {1.0 / 3, "aaab"},
      {0.01, "fd70a"},
      {0.001, "ffbe77"},
      {0.99, "028f"},
      {0.75, "4"},
      // Powers of two are exact, down to the smallest.
      {0x1p-4, "f"},
      {0x1p-5, "f8"},
      {0x1p-8, "ff"},
      {0x1p-52, "fffffffffffff"},
      {0x1p-55, "fffffffffffffe"},
      {0x1p-56, "ffffffffffffff"},
      {3 * 0x1p-56, "fffffffffffffd"},
      // Rounded to the nearest, also into the digit before.
      {2.0 / 3, "5555"},
      {0.0001, "fff9724"},
      {1 - 0x1.8p-17, "0001"},  // 0000c, rounded up
      {1 - 0x1p-18, "0"},       // 00004, rounded down
      {1 - 0x1p-40, "0"},
      {0.9999, "0007"},
      // Out of range.
      {2.0, "0"},
      {std::numeric_limits<double>::infinity(), "0"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(digits_of(midtrace::threshold_of(row.probability)), row.digits) << row.probability;
  }
}

TEST(OtThreshold, OfNoUsableProbabilityKeepsNothing) {
  for (const double probability : {0.0, -0.0, -1.0, 0x1p-57, 1e-300, std::nextafter(0x1p-56, 0.0),
                                   std::nan(""), -std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(midtrace::threshold_of(probability), OtMember::keep_none) << probability;
  }
}

TEST(OtThreshold, FallsAsTheProbabilityRises) {
  std::uint64_t last = OtMember::keep_none;
  for (double probability = 0x1p-56; probability <= 1.0; probability *= 1.003) {
    const std::uint64_t threshold = midtrace::threshold_of(probability);
    EXPECT_LE(threshold, last) << probability;
    EXPECT_LT(threshold, OtMember::keep_none);
    // What the digits say differs from what was asked for by less than half of the last digit.
    const double said = std::ldexp(static_cast<double>(OtMember::keep_none - threshold), -56);
    EXPECT_NEAR(said, probability, 0x1p-17);
    if (probability > 0x1p-40) {
      EXPECT_NEAR(said / probability, 1.0, 0x1p-13) << probability;
    }
    last = threshold;
  }
}

TEST(OtThreshold, IsWrittenWithLeadingZerosAndWithoutTrailingOnes) {
  EXPECT_EQ(digits_of(0), "0");
  EXPECT_EQ(digits_of(1), "00000000000001");
  EXPECT_EQ(digits_of(0x80000000000000), "8");
  EXPECT_EQ(digits_of(0x028f0000000000), "028f");
  EXPECT_EQ(digits_of(0x0123456789abcd), "0123456789abcd");
}

TEST(OtMemberParse, ReadsThresholdAndRandomness) {
  const struct {
    const char* value;
    Number threshold;
    Number randomness;
    bool has_threshold_text;
  } rows[] = {
      // The specification's.
      {"th:c", 0xc0000000000000, {}, true},
      {"th:4;rv:6e6d1a75832a2f", 0x40000000000000, 0x6e6d1a75832a2f, true},
      {"th:0", 0, {}, true},
      {"rv:00000000000000", {}, 0, false},
      {"rv:ffffffffffffff;th:fd70a", 0xfd70a000000000, 0xffffffffffffff, true},
      {"th:028f", 0x028f0000000000, {}, true},
      {"th:c000", 0xc0000000000000, {}, true},
      {"th:00000000000001", 1, {}, true},
      {"p:8;x1:Az.9-_;th:8;e:", 0x80000000000000, {}, true},
      // A bad part counts as absent, and the others stand.
      {"", {}, {}, false},
      {";", {}, {}, false},
      {"th", {}, {}, false},
      {"th:", {}, {}, true},
      {"th:C", {}, {}, true},
      {"th:g", {}, {}, true},
      {"th:0x8", {}, {}, true},
      {"th:-8", {}, {}, true},
      {"th:000000000000000", {}, {}, true},  // 15 digits
      {"th:8 ", {}, {}, false},
      {" th:8", {}, {}, false},
      {"TH:8", {}, {}, false},
      {"th:8:9", {}, {}, false},
      {"rv:6e6d1a75832a2", {}, {}, false},    // 13 digits
      {"rv:6e6d1a75832a2f0", {}, {}, false},  // 15
      {"rv:6E6D1A75832A2F", {}, {}, false},
      {"th:8;;rv:00000000000001;", 0x80000000000000, 1, true},
      {"th:Z;rv:00000000000001", {}, 1, true},
      {"rv:1;th:8", 0x80000000000000, {}, true},
      {"1a:b;th:8", 0x80000000000000, {}, true},
      {"a:{};th:8", 0x80000000000000, {}, true},
      // Of a repeated key the first counts.
      {"th:8;th:c", 0x80000000000000, {}, true},
      {"th:x;th:c", {}, {}, true},
      {"rv:00000000000001;rv:00000000000002", {}, 1, false},
      {"rv:1;rv:00000000000002", {}, {}, false},
      // Not the whole key.
      {"tha:8;ath:8;rvx:00000000000001", {}, {}, false},
  };
  for (const auto& row : rows) {
    const OtMember member = OtMember::parse(row.value);
    EXPECT_EQ(member.threshold, row.threshold) << row.value;
    EXPECT_EQ(member.randomness, row.randomness) << row.value;
    EXPECT_EQ(member.has_threshold_text, row.has_threshold_text) << row.value;
  }
}

TEST(OtMember, TakesTheRandomnessOfTheTraceIdUnlessThereIsAnother) {
  const midtrace::TraceId id{0x1111111111111111, 0x99aabbccddeeff00};
  EXPECT_EQ(OtMember::parse("th:8").randomness_for(id), 0xaabbccddeeff00U) << "its rightmost 7 bytes";
  EXPECT_EQ(OtMember::parse("rv:00000000000007").randomness_for(id), 7U);
  EXPECT_EQ(OtMember::parse("rv:7").randomness_for(id), 0xaabbccddeeff00U);
}

TEST(OtMemberRewrite, ReplacesTheThresholdAndNothingElse) {
  const Number quarter = 0xc0000000000000;
  const struct {
    const char* before;
    Number threshold;
    const char* after;
  } rows[] = {
      {"", quarter, "th:c"},
      {"", 0, "th:0"},
      {"th:8", quarter, "th:c"},
      {"th:8", {}, ""},
      {"rv:6e6d1a75832a2f", quarter, "th:c;rv:6e6d1a75832a2f"},
      {"rv:6e6d1a75832a2f;th:8", quarter, "th:c;rv:6e6d1a75832a2f"},
      {"th:8;rv:6e6d1a75832a2f", {}, "rv:6e6d1a75832a2f"},
      {"a:1;th:8;b:2", quarter, "th:c;a:1;b:2"},
      {"a:1;th:8;rv:00000000000000;b:", {}, "rv:00000000000000;a:1;b:"},
      {"th:8;bad;x:;=;A:1", quarter, "th:c;x:"},
      {"rv:123;a:1", quarter, "th:c;a:1"},
      {"a:1;a:2;th:8;b:3;a:4", {}, "a:1;b:3"},
      {"rv:00000000000001;rv:00000000000002", {}, "rv:00000000000001"},
  };
  for (const auto& row : rows)
    EXPECT_EQ(rewritten(row.before, row.threshold), row.after) << row.before;
}

TEST(OtMemberRewrite, KeepsWithin256CharactersByForeignSubKeysFromTheRight) {
  const std::string fits = "a:" + std::string(236, 'x') + ";b:1";  // 242
  EXPECT_EQ(rewritten(fits, 0x80000000000000), "th:8;" + fits);
  EXPECT_EQ(rewritten(fits, 0x8000000000000), "th:08;" + fits);
  EXPECT_EQ(rewritten(fits, 0x8000001), "th:00000008000001;a:" + std::string(236, 'x')) << "b would make 260";
  const std::string full = "a:" + std::string(254, 'x');
  EXPECT_EQ(rewritten(full, 0), "th:0");
  EXPECT_EQ(rewritten(full, {}), full);
  EXPECT_EQ(rewritten("a:" + std::string(235, 'x') + ";rv:00000000000001", 0), "th:0;rv:00000000000001")
      << "what is understood goes first, wherever it stood";
}

TEST(WithThreshold, ChangesOnlyTheOtMember) {
  const auto changed = [](const char* before, Number threshold) {
    return std::string(midtrace::with_threshold(TraceState::parse(before), threshold).header());
  };
  EXPECT_EQ(changed("", 0), "ot=th:0");
  EXPECT_EQ(changed("a=1", 0x80000000000000), "ot=th:8,a=1");
  EXPECT_EQ(changed("a=1,ot=th:c;rv:00000000000001,b=2", 0x80000000000000),
            "ot=th:8;rv:00000000000001,a=1,b=2");
  EXPECT_EQ(changed("a=1,ot=th:c,b=2", {}), "a=1,b=2");
  EXPECT_EQ(changed("a=1,ot=th:c;x:1,b=2", {}), "ot=x:1,a=1,b=2");
  EXPECT_EQ(changed("a=1,ot=th:nonsense,b=2", {}), "a=1,b=2");
  // Nothing to change: not even the order.
  EXPECT_EQ(changed("a=1,ot=x;th:c", 0xc0000000000000), "a=1,ot=x;th:c");
  EXPECT_EQ(changed("a=1,ot=x:1", {}), "a=1,ot=x:1");
  EXPECT_EQ(changed("a=1", {}), "a=1");
}

}  // namespace
