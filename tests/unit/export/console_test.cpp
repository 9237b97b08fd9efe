// Exported batches as a waterfall on a standard stream.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <midtrace/export/exporters.h>
#include <midtrace/trace/tracer.h>

#include "captured_batch.h"

namespace {

using midtrace::Span;
using midtrace::Tracer;
using midtrace::testing::Recorder;
using std::chrono::milliseconds;
using testing::HasSubstr;

// What `trace` makes the console exporter write to descriptor `number`.
template <class Trace>
std::string written_to(int number, const Trace& trace) {
  std::string pattern = (std::filesystem::temp_directory_path() / "midtrace-console-XXXXXX").string();
  const int file = mkstemp(pattern.data());
  const int saved = dup(number);
  dup2(file, number);
  close(file);
  {
    Recorder recorder(
        midtrace_test::recording_into(midtrace::console_exporter({.to_stdout = number == STDOUT_FILENO})));
    trace(recorder);
  }
  dup2(saved, number);
  close(saved);
  std::ifstream stream(pattern);
  const std::string text(std::istreambuf_iterator<char>(stream), {});
  std::filesystem::remove(pattern);
  return text;
}

class Console : public testing::Test {
 protected:
  Console() { setenv("LC_ALL", "C", 1); }
  ~Console() override { unsetenv("LC_ALL"); }

  static void order(Recorder& recorder) {
    const Tracer tracer = Tracer::get("shop");
    Span root = tracer.start("handle order", {.kind = midtrace::SpanKind::server});
    const midtrace::Scope scope = root.activate();
    recorder.clock().advance(milliseconds(10));
    {
      Span send = tracer.start("send orders", {.kind = midtrace::SpanKind::producer});
      send.set_error("_MSG_TIMED_OUT", "timed out");
      recorder.clock().advance(milliseconds(20));
    }
    recorder.clock().advance(milliseconds(10));
  }
};

TEST_F(Console, DrawsABatchAsATreeOnStandardError) {
  const std::string text = written_to(STDERR_FILENO, order);
  EXPECT_EQ(text, R"(trace 00000000000000000000000000000001, 2 spans, 1 service, 40.0 ms, 1 error
service  span            kind | 0 ----------+ 10 ms -------+ 20 ms -------+---- 40.0 ms | duration
test     handle order    srv  ===========================================================  40.0 ms
test     `- send orders  prod                ============================= timed out       20.0 ms !

)");
}

TEST_F(Console, StandardOutputIsAnOption) {
  EXPECT_THAT(written_to(STDOUT_FILENO, order), HasSubstr("send orders"));
}

TEST_F(Console, ALocaleOfUtf8GetsLinesInsteadOfAscii) {
  setenv("LC_ALL", "C.UTF-8", 1);
  const std::string text = written_to(STDERR_FILENO, order);
  EXPECT_THAT(text, HasSubstr("send orders"));
  EXPECT_THAT(text, HasSubstr("\xE2\x94")) << "box drawing";
}

TEST_F(Console, HostileNamesCannotWriteEscapeSequences) {
  const std::string text = written_to(
      STDERR_FILENO, [](Recorder&) { Span s = Tracer::get("shop").start("\x1B[31mred\x07\nline"); });
  EXPECT_EQ(text.find('\x1B'), std::string::npos);
  EXPECT_EQ(text.find('\x07'), std::string::npos);
}

TEST_F(Console, LinksAreDrawnUnderTheSpanTheyLinkTo) {
  const std::string text = written_to(STDERR_FILENO, [](Recorder& recorder) {
    const Tracer tracer = Tracer::get("shop");
    Span send = tracer.start("send orders", {.kind = midtrace::SpanKind::producer});
    const midtrace::Link link{send.context(), {}};
    send.end();
    recorder.clock().advance(milliseconds(5));
    const midtrace::Context none;
    Span process = tracer.start("process orders",
                                {.kind = midtrace::SpanKind::consumer, .parent = &none, .links = {&link, 1}});
    recorder.clock().advance(milliseconds(5));
  });
  EXPECT_LT(text.find("send orders"), text.find("process orders"));
  EXPECT_EQ(text.find("\n\n"), text.size() - 2) << "one group:\n" << text;
}

TEST_F(Console, AnOutputThatNobodyReadsCostsTheBatchAndNothingElse) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const int saved = dup(STDOUT_FILENO);
  dup2(ends[1], STDOUT_FILENO);
  close(ends[1]);
  close(ends[0]);
  bool flushed = true;
  {
    Recorder recorder(midtrace_test::recording_into(midtrace::console_exporter({.to_stdout = true})));
    { Span s = Tracer::get("shop").start("work"); }
    flushed = recorder.telemetry().flush();
  }
  dup2(saved, STDOUT_FILENO);
  close(saved);
  EXPECT_FALSE(flushed);
}

}  // namespace
