// What a traced command allocates: unsampled, nothing beyond what hiredis does for the same calls.
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <utility>

#include <midtrace/redis.h>
#include <midtrace/trace/sampler.h>

#include "live/redis_fixture.h"
#include "support/allocations.h"

namespace midtrace::test {
namespace {

using redis::Client;
using redis::Reply;

constexpr int rounds = 100;

class RedisAllocations : public RedisTraced {
 protected:
  void SetUp() override {
    RedisTraced::SetUp();
    if (!allocations_are_counted) GTEST_SKIP() << "this program's heap is the sanitizer's";
  }

  // Of some rounds, once the first few are over.
  static std::uint64_t allocations(const std::function<void()>& work) {
    for (int i = 0; i < 5; ++i)
      work();
    const std::uint64_t before = allocations_of_this_thread();
    for (int i = 0; i < rounds; ++i)
      work();
    return allocations_of_this_thread() - before;
  }

  static void hiredis_single(redisContext* context) {
    const RedisReply reply(static_cast<redisReply*>(redisCommand(context, "SET %s %s", "key", "value")));
    ASSERT_NE(reply, nullptr);
  }
  static void traced_single(Client& redis) {
    const Reply reply = redis.command("SET %s %s", "key", "value");
    ASSERT_NE(reply, nullptr);
  }
  static void hiredis_pipeline(redisContext* context) {
    for (int i = 0; i < 10; ++i)
      redisAppendCommand(context, "SET %s %s", "key", "value");
    for (int i = 0; i < 10; ++i) {
      void* reply = nullptr;
      ASSERT_EQ(redisGetReply(context, &reply), REDIS_OK);
      freeReplyObject(reply);
    }
  }
  static void traced_pipeline(Client& redis) {
    for (int i = 0; i < 10; ++i)
      redis.append_command("SET %s %s", "key", "value");
    for (int i = 0; i < 10; ++i) {
      Reply reply;
      ASSERT_EQ(redis.get_reply(reply), REDIS_OK);
    }
  }
};

TEST_F(RedisAllocations, AnUnsampledCommandAllocatesWhatHiredisDoes) {
  start_recorder({.sampler = always_off_sampler()});
  const RedisContext bare = connect();
  Client redis(connect().release());
  EXPECT_EQ(allocations([&] { traced_single(redis); }), allocations([&] { hiredis_single(bare.get()); }));
}

TEST_F(RedisAllocations, AnUnsampledPipelineAllocatesWhatHiredisDoes) {
  start_recorder({.sampler = always_off_sampler()});
  const RedisContext bare = connect();
  Client redis(connect().release());
  EXPECT_EQ(allocations([&] { traced_pipeline(redis); }), allocations([&] { hiredis_pipeline(bare.get()); }));
}

// Records come from a pool, which grows until the collector keeps up.
TEST_F(RedisAllocations, ASampledCommandAllocatesOnlyForThePoolOfRecords) {
  const RedisContext bare = connect();
  Client redis(connect().release());
  const std::uint64_t traced = allocations([&] { traced_single(redis); });
  EXPECT_LE(traced, allocations([&] { hiredis_single(bare.get()); }) + rounds / 4);
}

TEST_F(RedisAllocations, APipelineOfManyCommandsAllocatesNothingForEachOfThem) {
  constexpr int commands = 100000;
  const auto count = [](const std::function<void()>& work) {
    const std::uint64_t before = allocations_of_this_thread();
    work();
    return allocations_of_this_thread() - before;
  };
  const RedisContext bare = connect();
  const std::uint64_t hiredis = count([&] {
    for (int i = 0; i < commands; ++i)
      redisAppendCommand(bare.get(), "SET key-%d %s", i, "value");
    for (int i = 0; i < commands; ++i) {
      void* reply = nullptr;
      ASSERT_EQ(redisGetReply(bare.get(), &reply), REDIS_OK);
      freeReplyObject(reply);
    }
  });
  Client redis(connect().release());
  const std::uint64_t traced = count([&] {
    for (int i = 0; i < commands; ++i)
      redis.append_command("SET key-%d %s", i, "value");
    for (int i = 0; i < commands; ++i) {
      Reply reply;
      ASSERT_EQ(redis.get_reply(reply), REDIS_OK);
    }
  });
  // How often the buffers for reading grow depends on how the replies arrive.
  EXPECT_LE(traced, hiredis + commands / 100);
  EXPECT_EQ(recorder_->spans().size(), 1U);
}

}  // namespace
}  // namespace midtrace::test
