// Which message keys and headers are text.

#include "messaging/text.h"

#include <gtest/gtest.h>

namespace midtrace {
namespace {

using messaging::is_plain_text;
using namespace std::string_view_literals;

TEST(MessagingText, Utf8WithoutControlCharactersIsText) {
  for (const std::string_view text :
       {""sv, "order-1"sv, " ~"sv, "\xC2\xA0"sv, "gr\xC3\xBC\xC3\x9F"sv, "\xE2\x82\xAC"sv, "\xED\x9F\xBF"sv,
        "\xEE\x80\x80"sv, "\xF0\x9F\x98\x80"sv, "\xF4\x8F\xBF\xBF"sv}) {
    EXPECT_TRUE(is_plain_text(text)) << text;
  }
}

TEST(MessagingText, EverythingElseIsNot) {
  for (const std::string_view bytes : {"\0"sv,
                                       "a\nb"sv,
                                       "\x1F"sv,
                                       "\x7F"sv,
                                       "\xC2\x80"sv,
                                       "\xC2\x9F"sv,
                                       "\x80"sv,
                                       "\xC0\x80"sv,
                                       "\xC1\xBF"sv,
                                       "\xE0\x80\x80"sv,
                                       "\xE0\x9F\xBF"sv,
                                       "\xED\xA0\x80"sv,
                                       "\xF0\x80\x80\x80"sv,
                                       "\xF4\x90\x80\x80"sv,
                                       "\xF5"sv,
                                       "\xFF"sv,
                                       "\xC3"sv,
                                       "\xE2\x82"sv,
                                       "\xF0\x9F\x98"sv,
                                       "\xC3x"sv}) {
    EXPECT_FALSE(is_plain_text(bytes)) << ::testing::PrintToString(bytes);
  }
}

}  // namespace
}  // namespace midtrace
