// traced(): any callable in a span of its own, otherwise as it was.
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <gtest/gtest.h>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/current_span.h>
#include <midtrace/trace/traced.h>

namespace midtrace {
namespace {

class TracedTest : public ::testing::Test {
 protected:
  testing::Recorder recorder_;
};

int add(int a, int b) {
  current_span().set("inside", true);
  return a + b;
}

TEST_F(TracedTest, runsInASpanThatIsCurrent) {
  const auto traced_add = traced("add", add);
  EXPECT_EQ(traced_add(1, 2), 3);
  EXPECT_EQ(recorder_.tree(), R"(
add INTERNAL
  inside = true
)");
}

TEST_F(TracedTest, hasAKindAndATracerOfChoice) {
  traced("handle", [] {}, {.kind = SpanKind::server, .tracer = Tracer::get("shop", "1.0")})();
  const auto spans = recorder_.spans();
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0].kind, SpanKind::server);
  EXPECT_EQ(spans[0].scope_name, "shop");
  EXPECT_EQ(spans[0].scope_version, "1.0");
}

struct PaymentDeclined : std::runtime_error {
  using std::runtime_error::runtime_error;
};

TEST_F(TracedTest, recordsAnExceptionAndLetsItGoOn) {
  const auto settle = traced("settle", []() -> int { throw PaymentDeclined("card expired"); });
  try {
    settle();
    ADD_FAILURE() << "it did not throw";
  } catch (const PaymentDeclined& exception) {
    EXPECT_STREQ(exception.what(), "card expired");
  }
  EXPECT_EQ(recorder_.tree(), R"(
settle INTERNAL
  status ERROR: card expired
  error.type = midtrace::(anonymous namespace)::PaymentDeclined
  event exception {exception.message = card expired, exception.type = midtrace::(anonymous namespace)::PaymentDeclined}
)");
  EXPECT_FALSE(Context::current().span.valid());
}

TEST_F(TracedTest, makesWhatIsNoStandardExceptionAnErrorToo) {
  const auto settle = traced("settle", [] { throw 42; });
  EXPECT_THROW(settle(), int);
  EXPECT_EQ(recorder_.tree(), R"(
settle INTERNAL
  status ERROR
  error.type = _OTHER
)");
}

TEST_F(TracedTest, keepsReturnTypesAndValueCategories) {
  int value = 1;
  auto reference = traced("r", [&value]() -> int& { return value; });
  static_assert(std::is_same_v<decltype(reference()), int&>);
  EXPECT_EQ(&reference(), &value);
  auto moved = traced("m", [&value]() -> int&& { return std::move(value); });
  static_assert(std::is_same_v<decltype(moved()), int&&>);
  auto nothing = traced("v", [] {});
  static_assert(std::is_void_v<decltype(nothing())>);
  auto owner = traced("o", [](std::unique_ptr<int> number) { return number; });
  EXPECT_EQ(*owner(std::make_unique<int>(7)), 7);
  auto mutable_state = traced("s", [count = 0]() mutable { return ++count; });
  mutable_state();
  EXPECT_EQ(mutable_state(), 2);
}

struct Order {
  int lines = 12;
  virtual int total() const { return lines; }
  virtual ~Order() = default;
};

TEST_F(TracedTest, takesMembersAndFunctionsOfTheStandardLibrary) {
  const Order order;
  EXPECT_EQ(traced("total", &Order::total)(order), 12);
  EXPECT_EQ(traced("lines", &Order::lines)(order), 12);
  const std::function<int()> seven = [] { return 7; };
  EXPECT_EQ(traced("seven", seven)(), 7);
}

TEST_F(TracedTest, describesArgumentsAndResultOnlyWhereAsked) {
  const auto settle = traced("settle", [](const std::string& order, int) { return order.size(); })
                          .arguments([](Span& span, const std::string& order, int lines) {
                            span.set("order", order);
                            span.set("lines", lines);
                          })
                          .result([](Span& span, std::size_t size) { span.set("size", size); });
  EXPECT_EQ(settle("abc", 2), 3U);
  traced("secret", [](const std::string&) {})("password");
  EXPECT_EQ(recorder_.tree(), R"(
secret INTERNAL
settle INTERNAL
  lines = 2
  order = abc
  size = 3
)");
}

// Counts how often it was copied.
struct Counted {
  int* copies;
  explicit Counted(int& count) : copies(&count) {}
  Counted(const Counted& other) : copies(other.copies) { ++*copies; }
  Counted(Counted&& other) noexcept = default;
};

TEST_F(TracedTest, copiesNeitherArgumentsNorResults) {
  int copies = 0;
  auto work = traced("work", [](Counted counted) {
                return counted;
              }).arguments([](Span&, const Counted&) {
                }).result([](Span&, const Counted&) {});
  const Counted result = work(Counted(copies));
  EXPECT_EQ(*result.copies, 0);
}

TEST_F(TracedTest, swallowsAndCountsWhatADescriptionThrows) {
  const auto work = traced("work", [](int number) {
                      return number;
                    }).arguments([](Span&, int) {
                        throw std::runtime_error("arguments");
                      }).result([](Span&, int) { throw 42; });
  EXPECT_EQ(work(5), 5);
  EXPECT_EQ(recorder_.counters()[Counter::hook_failures], 2U);
  EXPECT_EQ(recorder_.tree(), R"(
work INTERNAL
)");
}

TEST(TracedUnsampled, describesNothingWhenNothingIsRecorded) {
  testing::Recorder recorder({.sampler = always_off_sampler()});
  int described = 0;
  const auto work = traced("work", [](int number) {
                      return number;
                    }).arguments([&described](Span&, int) {
                        ++described;
                      }).result([&described](Span&, int) { ++described; });
  EXPECT_EQ(work(5), 5);
  EXPECT_EQ(described, 0);
}

}  // namespace
}  // namespace midtrace
