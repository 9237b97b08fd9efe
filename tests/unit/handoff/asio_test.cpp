// Asio handlers and coroutines that run under a context: the same tests for the two Asios.
#include <utility>  // some versions of Boost.Asio forget it

#ifdef MIDTRACE_BOOST_ASIO
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#else
#include <asio/bind_executor.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/dispatch.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>
#endif

#include <chrono>
#include <future>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include <midtrace/context/asio.h>
#include <midtrace/context/coroutine.h>
#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

#ifdef MIDTRACE_BOOST_ASIO
namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;
#ifdef BOOST_ASIO_HAS_CO_AWAIT
#define MIDTRACE_TEST_ASIO_COROUTINES 1
#endif
#else
using ErrorCode = std::error_code;
#ifdef ASIO_HAS_CO_AWAIT
#define MIDTRACE_TEST_ASIO_COROUTINES 1
#endif
#endif

namespace midtrace {
namespace {

using namespace std::chrono_literals;

Tracer tracer() { return Tracer::get("asio_test"); }
SpanId current() { return Context::current().span.span_id; }

class WithContext : public ::testing::Test {
 protected:
  testing::Recorder recorder_;
  asio::io_context io_;
  Span order_ = tracer().start("order");

  Context context() const {
    Context context;
    context.span = order_.context();
    return context;
  }
  SpanId own() const { return order_.context().span_id; }
};

TEST_F(WithContext, runsPostedAndDispatchedWorkUnderTheContextOfItsLine) {
  std::vector<SpanId> seen;
  {
    const Scope scope = order_.activate();
    asio::post(with_context(io_.get_executor()), [&seen] { seen.push_back(current()); });
    asio::dispatch(with_context(io_.get_executor()), [&seen] { seen.push_back(current()); });
  }
  asio::post(io_, [&seen] { seen.push_back(current()); });
  io_.run();
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_EQ(seen[0], own());
  EXPECT_EQ(seen[1], own());
  EXPECT_FALSE(seen[2].valid());
}

TEST_F(WithContext, runsTheHandlersOfAChainOfOperationsUnderIt) {
  asio::steady_timer timer(io_, 1ms);
  std::vector<SpanId> seen;
  const auto executor = with_context(asio::make_strand(io_), context());
  timer.async_wait(asio::bind_executor(executor, [&](const ErrorCode&) {
    seen.push_back(current());
    timer.expires_after(1ms);
    timer.async_wait(asio::bind_executor(executor, [&](const ErrorCode&) { seen.push_back(current()); }));
  }));
  io_.run();
  EXPECT_EQ(seen, (std::vector<SpanId>{own(), own()}));
  EXPECT_FALSE(current().valid());
}

#ifdef MIDTRACE_TEST_ASIO_COROUTINES  // not with clang 14
TEST_F(WithContext, keepsItThroughEveryStepOfACoroutineAndGivesTheThreadBackBetween) {
  asio::thread_pool pool(3);
  std::vector<SpanId> seen;
  const auto session = [&]() -> asio::awaitable<void> {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    for (int step = 0; step < 5; ++step) {
      seen.push_back(current());
      timer.expires_after(1ms);
      co_await timer.async_wait(asio::use_awaitable);
    }
  };
  auto done = asio::co_spawn(with_context(pool.get_executor(), context()), session(), asio::use_future);
  done.get();
  EXPECT_EQ(seen, std::vector<SpanId>(5, own()));
  std::promise<SpanId> other;
  asio::post(pool, [&other] { other.set_value(current()); });
  EXPECT_FALSE(other.get_future().get().valid());
  pool.join();
}

// asio::awaitable awaits nothing but Asio's operations, so the scope's await() cannot wrap them.
TEST_F(WithContext, isNotNeededByACoroutineThatSwitchesItsOwnScopeByHand) {
  asio::thread_pool pool(3);
  std::vector<SpanId> seen;
  SpanId own;
  const auto session = [&]() -> asio::awaitable<void> {
    const Span span = tracer().start("session");
    own = span.context().span_id;
    CoroutineScope scope(span);
    asio::steady_timer timer(pool);
    for (int step = 0; step < 5; ++step) {
      timer.expires_after(1ms);
      scope.detach();
      co_await timer.async_wait(asio::use_awaitable);
      scope.attach();
      seen.push_back(current());
    }
  };
  asio::co_spawn(pool, session(), asio::use_future).get();
  EXPECT_EQ(seen, std::vector<SpanId>(5, own));
  std::promise<SpanId> other;
  asio::post(pool, [&other] { other.set_value(current()); });
  EXPECT_FALSE(other.get_future().get().valid());
  pool.join();
  EXPECT_EQ(recorder_.counters()[Counter::scopes_ended_elsewhere], 0U);
  EXPECT_EQ(recorder_.counters()[Counter::scopes_ended_out_of_order], 0U);
}
#endif

TEST_F(WithContext, isAnExecutorLikeAnyOther) {
  const auto executor = with_context(io_.get_executor(), context());
  EXPECT_TRUE(asio::execution::is_executor<decltype(executor)>::value);
  const asio::any_io_executor erased = executor;
  EXPECT_TRUE(static_cast<bool>(erased));
  EXPECT_EQ(&asio::query(executor, asio::execution::context), &io_);
  EXPECT_TRUE(executor == with_context(io_.get_executor(), context()));
  EXPECT_TRUE(executor != with_context(io_.get_executor(), Context()));
}

}  // namespace
}  // namespace midtrace
