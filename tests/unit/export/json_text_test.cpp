// JSON out of any bytes and numbers.
#include "export/json_text.h"

#include <gtest/gtest.h>
#include <clocale>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include <midtrace/trace/counters.h>

#include "export/utf8.h"
#include "support/allocations.h"

namespace {

using midtrace::JsonText;

std::string string_of(std::string_view text) {
  std::string out;
  JsonText(out).string(text);
  return out;
}

std::string real_of(double value) {
  std::string out;
  JsonText(out).real(value);
  return out;
}

TEST(JsonString, PlainTextIsQuoted) {
  EXPECT_EQ(string_of(""), R"("")");
  EXPECT_EQ(string_of("send orders"), R"("send orders")");
  EXPECT_EQ(string_of("caf\u00E9 \u20AC \U0001F600 \x7F"), "\"caf\u00E9 \u20AC \U0001F600 \x7F\"");
}

TEST(JsonString, WhatJsonForbidsIsEscaped) {
  EXPECT_EQ(string_of("say \"hi\" \\ bye"), R"("say \"hi\" \\ bye")");
  EXPECT_EQ(string_of("a\nb\rc\td"), R"("a\nb\rc\td")");
  EXPECT_EQ(string_of(std::string_view("\0\x01\x1F", 3)), R"("\u0000\u0001\u001f")");
}

TEST(JsonString, EachMalformedSequenceBecomesOneReplacementCharacter) {
  const std::string replacement = "\xEF\xBF\xBD";
  struct Case {
    std::string_view bytes;
    std::string shown;
  };
  for (const Case& each : {
           Case{"\x80", replacement},                                      // lonely continuation
           Case{"a\xFFz", "a" + replacement + "z"},                        // no lead byte at all
           Case{"\xC0\xAF", replacement + replacement},                    // overlong '/'
           Case{"\xE0\x80\xAF", replacement + replacement + replacement},  // overlong again
           Case{"\xED\xA0\x80", replacement + replacement + replacement},  // a surrogate
           Case{"\xF4\x90\x80\x80", replacement + replacement + replacement + replacement},  // above U+10FFFF
           Case{"\xE2\x82", replacement},                                                    // cut at the end
           Case{"\xE2\x82z", replacement + "z"},                      // cut before an ASCII character
           Case{"\xF0\x9F\x98\xE2\x82\xAC", replacement + "\u20AC"},  // cut before another character
       }) {
    EXPECT_EQ(string_of(each.bytes), "\"" + each.shown + "\"") << testing::PrintToString(each.bytes);
  }
}

TEST(JsonString, OneThatIsMadeValidIsCountedOnce) {
  const auto counted = [](std::string_view text) {
    const std::uint64_t before = midtrace::counters()[midtrace::Counter::invalid_utf8];
    string_of(text);
    return midtrace::counters()[midtrace::Counter::invalid_utf8] - before;
  };
  EXPECT_EQ(counted("plain \n \u20AC \U0010FFFF"), 0U);
  EXPECT_EQ(counted("\uFFFD"), 0U) << "the sender's own replacement character";
  EXPECT_EQ(counted("\x80"), 1U);
  EXPECT_EQ(counted("one \xFF and \xC0\xAF another, \u20AC in between \xE2\x82"), 1U);
}

TEST(JsonString, TheEndsOfTheUnicodeRangesAreValid) {
  for (const std::string_view text :
       {"\u0080", "\u07FF", "\u0800", "\uD7FF", "\uE000", "\uFFFF", "\U00010000", "\U0010FFFF"}) {
    EXPECT_EQ(string_of(text), "\"" + std::string(text) + "\"");
  }
}

TEST(JsonString, EveryByteAtEveryPlaceOfAWordIsFound) {
  for (int place = 0; place < 20; ++place) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text(20, 'x');
      text[static_cast<std::size_t>(place)] = static_cast<char>(byte);
      const std::string out = string_of(text);
      const auto parsed = nlohmann::json::parse(out).get<std::string>();
      if (byte < 0x80) {
        EXPECT_EQ(parsed, text) << place << " " << byte;
      } else {
        EXPECT_NE(parsed.find("\xEF\xBF\xBD"), std::string::npos) << place << " " << byte;
      }
      EXPECT_EQ(out.find('\n'), std::string::npos);
    }
  }
}

TEST(JsonString, RandomBytesAlwaysParseAndValidTextComesBack) {
  std::mt19937 random(20240101);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(random() % 40, '\0');
    // Mostly bytes that matter to UTF-8.
    for (char& c : bytes)
      c = static_cast<char>(random() % 4 == 0 ? random() % 128 : 0x80 + random() % 128);
    const auto parsed = nlohmann::json::parse(string_of(bytes)).get<std::string>();
    EXPECT_TRUE(midtrace::is_utf8(parsed));
    if (midtrace::is_utf8(bytes)) {
      EXPECT_EQ(parsed, bytes);
    }
  }
}

TEST(JsonNumbers, IntegersOf64BitsAreExact) {
  std::string out;
  {
    JsonText json(out);
    json.quoted_number(std::numeric_limits<std::int64_t>::min());
    json.quoted_number(std::numeric_limits<std::int64_t>::max());
    json.number(std::numeric_limits<std::uint64_t>::max());
  }
  EXPECT_EQ(out, R"("-9223372036854775808""9223372036854775807"18446744073709551615)");
}

TEST(JsonNumbers, RealsReadBackAsTheSameNumber) {
  for (const double value : {0.0, -0.0, 0.1, 1.0 / 3.0, 1e300, 5e-324, 123456789.125, -2.5e-7,
                             std::numeric_limits<double>::max(), std::numeric_limits<double>::lowest()}) {
    EXPECT_EQ(nlohmann::json::parse(real_of(value)).get<double>(), value);
    EXPECT_EQ(std::signbit(std::strtod(real_of(value).c_str(), nullptr)), std::signbit(value));
  }
  EXPECT_EQ(real_of(0.25), "0.25");
}

TEST(JsonNumbers, WhatNoJsonNumberCanSayIsAString) {
  EXPECT_EQ(real_of(std::nan("")), R"("NaN")");
  EXPECT_EQ(real_of(-std::nan("")), R"("NaN")");
  EXPECT_EQ(real_of(INFINITY), R"("Infinity")");
  EXPECT_EQ(real_of(-INFINITY), R"("-Infinity")");
}

TEST(JsonNumbers, IdsAreHexadecimalWithTheirZeros) {
  std::string out;
  {
    JsonText json(out);
    json.hex(0x0000000000000abcU);
    json.hex(0x4bf92f3577b34da6U, 0xa3ce929d0e0e4736U);
  }
  EXPECT_EQ(out, R"("0000000000000abc""4bf92f3577b34da6a3ce929d0e0e4736")");
}

TEST(JsonTextGrowth, TextLongerThanAnyBlockIsWhole) {
  std::string out = "before ";
  const std::string longer(100000, 'x');
  {
    JsonText json(out);
    json.string(longer);
    json.raw('!');
  }
  EXPECT_EQ(out, "before \"" + longer + "\"!");
}

TEST(JsonTextGrowth, AReusedStringIsNotAllocatedAgain) {
  std::string out;
  const std::string text(50000, 'x');
  JsonText(out).string(text);
  out.clear();
  const auto before = midtrace::test::allocations_of_this_thread();
  JsonText(out).string(text);
  EXPECT_EQ(midtrace::test::allocations_of_this_thread(), before);
}

}  // namespace
