// What a pipeline's span keeps of its commands: the joined text, the name, and the queue it waits in.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

#include "batch.h"
#include "batch_text.h"
#include "query_text.h"
#include "ring.h"

namespace midtrace::redis::detail {
namespace {

std::string joined(const std::vector<std::string>& texts, std::size_t most = 4096) {
  BatchText text;
  for (const std::string& each : texts)
    text.add(each, most);
  return std::string(text.text());
}

TEST(RedisBatchText, JoinsTextsAndSaysOneThatAllShareOnce) {
  EXPECT_EQ(joined({}), "");
  EXPECT_EQ(joined({"GET a"}), "GET a");
  EXPECT_EQ(joined({"GET a", "GET a", "GET a"}), "GET a");
  EXPECT_EQ(joined({"GET a", "GET b"}), "GET a; GET b");
  EXPECT_EQ(joined({"GET a", "GET a", "SET b ?", "GET a"}), "GET a; GET a; SET b ?; GET a");
}

TEST(RedisBatchText, EndsBetweenCommandsWhenItIsFull) {
  EXPECT_EQ(joined({"GET a", "GET b", "GET c", "GET d"}, 17), "GET a; GET b; ...");
  EXPECT_EQ(joined({"GET a", "GET b", "GET c"}, 24), "GET a; GET b; GET c");
  // What comes later would be out of place.
  EXPECT_EQ(joined({"GET a", "GET long-name", "GET b"}, 18), "GET a; ...");
  EXPECT_EQ(joined({"GET a", "GET a", "GET a", "GET b"}, 17), "GET a; GET a; ...");
  for (std::size_t most = 10; most < 200; ++most) {
    const std::string text = joined(std::vector<std::string>(50, "GET a"), most);
    EXPECT_EQ(text, "GET a");
    EXPECT_LE(joined({"GET a", "GET bb", "GET ccc", "GET dddd", "GET eeeee", "GET ffffff"}, most).size(),
              most);
  }
}

TEST(RedisBatchText, CanBeUsedAgain) {
  BatchText text;
  text.add("GET a", 10);
  text.add("GET b", 10);
  EXPECT_TRUE(text.full());
  text.clear();
  EXPECT_FALSE(text.full());
  text.add("GET c", 10);
  EXPECT_EQ(text.text(), "GET c");
}

TEST(RedisRing, KeepsTheOrderWhileItGrowsAndUsesPlacesAgain) {
  Ring<int> ring(5);
  EXPECT_TRUE(ring.empty());
  int in = 0;
  int out = 0;
  for (int round = 0; round < 20; ++round) {
    while (int* place = ring.add())
      *place = in++;
    EXPECT_EQ(ring.size(), 5U);
    EXPECT_EQ(ring.back(), in - 1);
    for (int take = 0; take < 1 + round % 5; ++take) {
      EXPECT_EQ(ring.front(), out++);
      ring.remove_front();
    }
  }
  ring.clear();
  EXPECT_TRUE(ring.empty());
}

class RedisBatch : public ::testing::Test {
 protected:
  void begin(bool transaction) {
    batch_.begin(transaction, 0);
    batch_.span = Tracer::get("test").start_pending("batch");
  }
  void add(std::vector<std::string_view> command) {
    const Arguments arguments{std::span<const std::string_view>(command)};
    batch_.add(policy_of(arguments), arguments);
  }
  std::string name() {
    std::array<char, 64> text{};
    std::string name(batch_.name(text));
    batch_.span.discard();
    return name;
  }

  testing::Recorder recorder_;
  Batch batch_;
};

TEST_F(RedisBatch, IsNamedAfterTheCommandThatAllAre) {
  begin(false);
  add({"GET", "a"});
  EXPECT_EQ(name(), "GET");
  begin(false);
  add({"GET", "a"});
  add({"get", "b"});
  EXPECT_EQ(name(), "PIPELINE GET");
  begin(false);
  add({"GET", "a"});
  add({"SET", "b", "1"});
  add({"GET", "a"});
  EXPECT_EQ(name(), "PIPELINE");
  begin(true);
  EXPECT_EQ(name(), "MULTI");
  begin(true);
  add({"GET", "a"});
  EXPECT_EQ(name(), "MULTI GET");
  begin(true);
  add({"GET", "a"});
  add({"SET", "b", "1"});
  EXPECT_EQ(name(), "MULTI");
}

TEST_F(RedisBatch, NamesTheProcedureThatAllCall) {
  begin(false);
  add({"FCALL", "total", "0"});
  add({"FCALL", "total", "1", "k"});
  EXPECT_EQ(batch_.procedure(), "total");
  add({"FCALL", "other", "0"});
  EXPECT_EQ(batch_.procedure(), "");
  batch_.span.discard();
}

TEST_F(RedisBatch, KeepsTheFirstError) {
  begin(false);
  redisReply reply{};
  const auto answer = [&](int type, std::string text) {
    reply.type = type;
    reply.str = text.data();
    reply.len = text.size();
    batch_.note_reply(reply);
  };
  answer(REDIS_REPLY_STATUS, "OK");
  EXPECT_FALSE(batch_.failed());
  answer(REDIS_REPLY_ERROR, "WRONGTYPE no");
  answer(REDIS_REPLY_ERROR, "MOVED 1 h:1");
  batch_.note_failure("REDIS_ERR_EOF");
  EXPECT_EQ(batch_.error_type(), "WRONGTYPE");
  EXPECT_EQ(batch_.status_code(), "WRONGTYPE");
  EXPECT_EQ(batch_.redirection(), "MOVED 1 h:1");
  batch_.span.discard();
}

}  // namespace
}  // namespace midtrace::redis::detail
