// A child of a fork may destroy the parent's Connection, as exit handlers do; it has nothing to end there.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <memory>
#include <mutex>
#include <thread>

#include "session.h"

#include <midtrace/amqp.h>

namespace midtrace {
namespace {

using namespace std::chrono_literals;

// The exit code of the child, or -1 when it had to be killed.
int wait_for(pid_t child) {
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > deadline) {
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      return -1;
    }
    std::this_thread::sleep_for(5ms);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(AmqpFork, AChildThatDestroysTheConnectionDoesNotWaitForAThreadThatIsNotThere) {
  auto connection = std::make_unique<amqp::Connection>(amqp_new_connection());
  ASSERT_NE(amqp::detail::Access::session(*connection)->channel(1), nullptr);
  pid_t child = -1;
  {
    // As another thread's process() does for a moment.
    const std::lock_guard guard(amqp::detail::Access::session(*connection)->lock());
    child = ::fork();
    if (child == 0) {
      connection->destroy_connection();
      connection.reset();
      ::_exit(7);
    }
  }
  ASSERT_GT(child, 0);
  EXPECT_EQ(wait_for(child), 7);
  connection->destroy_connection();
}

}  // namespace
}  // namespace midtrace
