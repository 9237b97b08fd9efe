// The example of common/README.md, compiled and run as it stands there.
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

namespace {

// The application's code.
void place_order(int number) {
  const auto tracer = midtrace::Tracer::get("shop");
  midtrace::Span order = tracer.start("place order", {.kind = midtrace::SpanKind::server});
  order.set("order.id", number);
  const midtrace::Scope current = order.activate();
  midtrace::Span charge = tracer.start("charge card");
  charge.set("card.provider", "example");
}

// clang-format off
TEST(PlaceOrder, ChargesTheCardBelowTheOrder) {
  midtrace::testing::Recorder recorder;  // tracing is on until it goes
  place_order(4711);
  EXPECT_EQ(recorder.tree({.without = {"card.provider"}, .masked = {{"order.id", "<id>"}}}), R"(
place order SERVER
  order.id = <id>
  charge card INTERNAL
)");
}
// clang-format on

TEST(ReadmeExample, IsTheOneThatIsTestedHere) {
  const auto content = [](const char* path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  };
  const std::string source = content(MIDTRACE_TEST_SOURCE);
  const std::string begin = "TEST(PlaceOrder, ";
  const std::size_t at = source.find(begin);
  ASSERT_NE(at, std::string::npos);
  const std::string example = source.substr(at, source.find("// clang-format on") - at);
  EXPECT_NE(content(MIDTRACE_TEST_README).find(example), std::string::npos) << example;
}

TEST(ReadmeExample, SaysTruthfullyThatThereIsOneRecorderAtATime) {
  const midtrace::testing::Recorder recorder;
  EXPECT_THROW(midtrace::testing::Recorder second, std::logic_error);
}

}  // namespace
