#include <midtrace/context/ids.h>

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <unordered_set>

namespace {

using midtrace::SpanId;
using midtrace::TraceFlags;
using midtrace::TraceId;

TEST(TraceIdText, PutsTheHighestDigitFirst) {
  const TraceId id{0x4bf92f3577b34da6, 0xa3ce929d0e0e4736};
  EXPECT_EQ(id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(std::string_view(id.hex().data(), 32), "4bf92f3577b34da6a3ce929d0e0e4736");
}

TEST(TraceIdText, KeepsLeadingZeros) {
  EXPECT_EQ((TraceId{0, 0x1a}.to_string()), "0000000000000000000000000000001a");
}

TEST(TraceIdText, ReadsWhatItWrites) {
  std::mt19937_64 random(20240101);
  for (int i = 0; i < 2000; ++i) {
    const TraceId id{random() >> (i % 64), random()};
    EXPECT_EQ(TraceId::from_hex(id.to_string()), id);
  }
}

TEST(TraceIdText, RefusesAnyOtherLength) {
  const std::string digits(40, 'a');
  for (std::size_t length = 0; length <= digits.size(); ++length)
    EXPECT_EQ(TraceId::from_hex(digits.substr(0, length)).has_value(), length == 32) << length;
}

// Every byte in every position, so that no byte leaks into its neighbour's test.
TEST(TraceIdText, AcceptsLowerCaseHexDigitsAndNoOtherByte) {
  for (std::size_t position = 0; position < 32; ++position) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text = "0123456789abcdeffedcba9876543210";
      text[position] = static_cast<char>(byte);
      const bool digit = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f');
      EXPECT_EQ(TraceId::from_hex(text).has_value(), digit) << position << " byte " << byte;
    }
  }
}

TEST(TraceIdText, AllZeroIsNoId) {
  EXPECT_FALSE(TraceId::from_hex("00000000000000000000000000000000"));
  EXPECT_FALSE(TraceId().valid());
  EXPECT_TRUE((TraceId{0, 1}.valid()));
  EXPECT_TRUE((TraceId{1, 0}.valid()));
}

TEST(SpanIdText, ReadsAndWritesSixteenDigits) {
  EXPECT_EQ(SpanId{0x00f067aa0ba902b7}.to_string(), "00f067aa0ba902b7");
  EXPECT_EQ(SpanId::from_hex("00f067aa0ba902b7"), SpanId{0x00f067aa0ba902b7});
  for (const char* const wrong : {"", "00f067aa0ba902b", "00f067aa0ba902b70", "00F067AA0BA902B7",
                                  "0000000000000000", "00f067aa0ba902g7", "-0f067aa0ba902b7"})
    EXPECT_FALSE(SpanId::from_hex(wrong)) << wrong;
}

TEST(TraceFlags, TestsSingleBits) {
  EXPECT_TRUE(TraceFlags{0x03}.sampled());
  EXPECT_TRUE(TraceFlags{0x03}.random());
  EXPECT_FALSE(TraceFlags{0x02}.sampled());
  EXPECT_FALSE(TraceFlags{0xFC}.sampled());
  EXPECT_FALSE(TraceFlags{0xFC}.random());
}

TEST(Ids, OrderAsTheirTextDoesAndServeAsKeys) {
  EXPECT_LT((TraceId{1, 0xFFFFFFFFFFFFFFFF}), (TraceId{2, 0}));
  EXPECT_LT(SpanId{0x0F}, SpanId{0x10});
  std::unordered_set<TraceId> traces{{1, 2}, {1, 2}, {2, 1}};
  EXPECT_EQ(traces.size(), 2U);
  std::unordered_set<SpanId> spans{{1}, {1}, {2}};
  EXPECT_EQ(spans.size(), 2U);
}

}  // namespace
