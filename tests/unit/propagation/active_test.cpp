#include <midtrace/propagation/propagator.h>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "list_carrier.h"

namespace {

using midtrace::Baggage;
using midtrace::Context;
using midtrace::Propagator;
using midtrace_test::ListCarrier;

const char* const valid_header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

Context some_context() {
  return {midtrace::parse_traceparent(valid_header), Baggage().with("a", "1"), false};
}

std::string injected_by_the_active_one() {
  ListCarrier carrier;
  midtrace::propagator().inject(some_context(), carrier);
  return carrier.text();
}

const std::string everything = std::string("traceparent: ") + valid_header + "\nbaggage: a=1\n";

// Traces before main and after it.
struct Static {
  std::string before_main = injected_by_the_active_one();
  ~Static() {
    if (!injected_by_the_active_one().empty()) return;
    std::fputs("the propagator did not inject while statics were destroyed\n", stderr);
    std::_Exit(1);
  }
};
const Static static_object;

// Knows how many of its kind are alive.
class Nothing final : public Propagator {
 public:
  Nothing() { ++alive; }
  ~Nothing() override { --alive; }
  Nothing(const Nothing&) = delete;
  Nothing& operator=(const Nothing&) = delete;
  void inject(const Context&, midtrace::CarrierWriter&) const noexcept override {}
  void extract(const midtrace::CarrierReader&, Context&) const noexcept override {}
  std::span<const std::string_view> fields() const noexcept override { return {}; }

  static std::atomic<int> alive;
};
std::atomic<int> Nothing::alive{0};

class ActivePropagator : public testing::Test {
 protected:
  void TearDown() override { midtrace::set_propagator(nullptr); }
};

TEST_F(ActivePropagator, IsTraceContextAndBaggageFromTheBeginning) {
  EXPECT_EQ(static_object.before_main, everything);
  EXPECT_EQ(injected_by_the_active_one(), everything);
  Context context;
  midtrace::propagator().extract(ListCarrier{{"traceparent", valid_header}, {"baggage", "a=1"}}, context);
  EXPECT_EQ(context, some_context());
  EXPECT_EQ(midtrace::propagator().fields().size(), 3U);
}

TEST_F(ActivePropagator, IsReplacedAndComesBackWithNull) {
  midtrace::set_propagator(std::make_shared<midtrace::BaggagePropagator>());
  EXPECT_EQ(injected_by_the_active_one(), "baggage: a=1\n");
  midtrace::set_propagator(nullptr);
  EXPECT_EQ(injected_by_the_active_one(), everything);
}

TEST_F(ActivePropagator, IsKeptAliveOnceItWasActive) {
  const int before = Nothing::alive;
  auto replacement = std::make_shared<Nothing>();
  const std::weak_ptr<Nothing> watched = replacement;
  midtrace::set_propagator(replacement);
  const Propagator& in_use = midtrace::propagator();
  midtrace::set_propagator(nullptr);
  replacement.reset();
  EXPECT_EQ(Nothing::alive, before + 1);
  EXPECT_TRUE(in_use.fields().empty());

  midtrace::set_propagator(watched.lock());
  EXPECT_EQ(watched.use_count(), 1) << "setting the same one again keeps nothing twice";
}

TEST_F(ActivePropagator, IsReplacedWhileOtherThreadsUseIt) {
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::thread reader([&] {
    while (!stop) {
      const std::string seen = injected_by_the_active_one();
      if (seen != everything && seen != "baggage: a=1\n") ++wrong;
    }
  });
  for (int i = 0; i < 500; ++i)
    midtrace::set_propagator(i % 2 == 0 ? std::make_shared<midtrace::BaggagePropagator>() : nullptr);
  stop = true;
  reader.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
