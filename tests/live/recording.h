// A fixture with a Recorder, whatever the server: what is recorded is checked against the vocabulary when a
// test ends. Link midtrace_testing and midtrace_test_vocabulary.
#ifndef MIDTRACE_TESTS_LIVE_RECORDING_H_
#define MIDTRACE_TESTS_LIVE_RECORDING_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

#include "conformance/vocabulary.h"

namespace midtrace::test {

class Recording : public ::testing::Test {
 protected:
  void SetUp() override { start_recorder(); }
  void TearDown() override { expect_known_attributes(); }

  // Everything that is recorded is in the vocabulary, but for the namespace `app`, which is for what tests
  // set themselves. Checked at the end of a test and before a recorder is replaced.
  void expect_known_attributes() {
    if (recorder_ == nullptr) return;
    std::vector<testing::OwnedSpan> spans = recorder_->spans();
    for (testing::OwnedSpan& span : spans) {
      std::erase_if(span.attributes, [](const testing::OwnedAttribute& attribute) {
        return attribute.key.starts_with("app.");
      });
    }
    EXPECT_THAT(midtrace_test::unknown_attributes(spans), ::testing::IsEmpty());
  }

  void start_recorder(testing::RecorderOptions options = {}) {
    expect_known_attributes();
    recorder_.reset();
    recorder_ = std::make_unique<testing::Recorder>(std::move(options));
  }

  static Span start_span(std::string_view name, const Context* parent = nullptr) {
    return Tracer::get("test").start(name, {.parent = parent});
  }

  std::unique_ptr<testing::Recorder> recorder_;
};

}  // namespace midtrace::test

#endif  // MIDTRACE_TESTS_LIVE_RECORDING_H_
