// Which headers become attributes, and how.

#include "messaging/captured_headers.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

namespace midtrace {
namespace {

using messaging::CapturedHeaders;
using messaging::captures_header;

TEST(MessagingCapturedHeaders, AreThoseThatThePatternsSelect) {
  const std::vector<std::string> captured{"x-*", "tenant"};
  const std::vector<std::string> excluded{"x-secret*"};
  for (const char* name : {"x-a", "x-", "tenant"})
    EXPECT_TRUE(captures_header(captured, excluded, name)) << name;
  for (const char* name : {"", "y", "Tenant", "x-secret", "x-secret-key", "x-\n"})
    EXPECT_FALSE(captures_header(captured, excluded, name)) << name;
  EXPECT_FALSE(captures_header({}, {}, "tenant"));
  EXPECT_TRUE(captures_header(captured, {}, "x-" + std::string(126, 'a')));
  EXPECT_FALSE(captures_header(captured, {}, "x-" + std::string(127, 'a')));
}

TEST(MessagingCapturedHeaders, AreNeverThoseOfPropagationFormats) {
  const std::vector<std::string> all{"*"};
  for (const char* name : {"traceparent", "TraceParent", "tracestate", "baggage", "b3", "X-B3-TraceId",
                           "uber-trace-id", "uberctx-a", "jaeger-baggage"}) {
    EXPECT_FALSE(captures_header(all, {}, name)) << name;
  }
  EXPECT_TRUE(captures_header(all, {}, "b34"));
}

class MessagingCapturedHeadersWritten : public ::testing::Test {
 protected:
  testing::OwnedSpan written() {
    {
      Span span = Tracer::get("test").start("work");
      headers_.write(span);
    }
    return recorder_.spans().at(0);
  }

  testing::Recorder recorder_;
  CapturedHeaders headers_;
};

TEST_F(MessagingCapturedHeadersWritten, ValuesOfOneNameAreOneArrayInTheirOrder) {
  headers_.add("a", "1");
  headers_.add("b", "2");
  headers_.add("a", "3");
  const testing::OwnedSpan span = written();
  EXPECT_EQ(span.attribute("messaging.header.a"), "[1, 3]");
  EXPECT_EQ(span.attribute("messaging.header.b"), "[2]");
  EXPECT_EQ(span.attributes.size(), 2U);
}

TEST_F(MessagingCapturedHeadersWritten, WhatIsTooLongOrNoTextIsLeftOutNotCut) {
  const std::string long_name(129, 'n');
  const std::string long_value(257, 'v');
  const std::string longest_value(256, 'v');
  headers_.add("", "v");
  headers_.add(long_name, "v");
  headers_.add("a", long_value);
  headers_.add("b", "\x01");
  headers_.add("c", longest_value);
  const testing::OwnedSpan span = written();
  EXPECT_EQ(span.attributes.size(), 1U);
  EXPECT_EQ(span.attribute("messaging.header.c"), "[" + longest_value + "]");
}

TEST_F(MessagingCapturedHeadersWritten, ThereAreAtMostSixteen) {
  std::vector<std::string> names;
  for (int i = 0; i < 20; ++i)
    names.push_back("h" + std::to_string(i));
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(headers_.full(), i >= 16);
    headers_.add(names[i], "v");
  }
  EXPECT_EQ(written().attributes.size(), 16U);
}

}  // namespace
}  // namespace midtrace
