// The table of sends that wait for their delivery report.

#include "open_sends.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <thread>
#include <unordered_map>
#include <vector>

#include <midtrace/testing/testing.h>
#include <midtrace/trace/tracer.h>

#include "topics.h"

namespace midtrace {
namespace {

using kafka::detail::OpenSend;
using kafka::detail::OpenSends;

// Addresses as malloc gives them, which nothing reads.
const void* address(std::uintptr_t number) {
  return reinterpret_cast<const void*>(0x7f0000000000U + number * 16);
}

class KafkaOpenSends : public ::testing::Test {
 protected:
  OpenSend send() {
    OpenSend open;
    open.pending = Tracer::get("test").start_pending("send");
    return open;
  }
  OpenSends::Insert insert(std::uintptr_t number, SpanId* id = nullptr) {
    OpenSend open = send();
    if (id != nullptr) *id = open.pending.context().span_id;
    OpenSend displaced;
    const OpenSends::Insert result = table_->insert(address(number), open, displaced);
    displaced.pending.discard();
    return result;
  }
  SpanId take(std::uintptr_t number) {
    OpenSend open;
    if (!table_->take(address(number), open)) return {};
    const SpanId id = open.pending.context().span_id;
    open.pending.discard();
    return id;
  }
  void TearDown() override {
    OpenSend open;
    while (table_->take_any(open))
      open.pending.discard();
  }

  testing::Recorder recorder_;
  std::unique_ptr<OpenSends> table_ = std::make_unique<OpenSends>();
};

TEST_F(KafkaOpenSends, WhatWasInsertedIsTakenOnce) {
  SpanId id;
  EXPECT_EQ(insert(1, &id), OpenSends::Insert::done);
  EXPECT_TRUE(table_->maybe(address(1)));
  EXPECT_EQ(take(1), id);
  EXPECT_FALSE(take(1).valid());
  EXPECT_FALSE(table_->maybe(address(1)));
}

TEST_F(KafkaOpenSends, AnEmptyTableHoldsNothingAndAllocatesNothing) {
  EXPECT_FALSE(take(1).valid());
  OpenSend open;
  EXPECT_FALSE(table_->take_any(open));
  EXPECT_EQ(table_->allocated_bytes(), 0U);
}

// librdkafka has freed the message without a report and its memory is used again.
TEST_F(KafkaOpenSends, InsertingOverALiveAddressHandsTheOldSendBack) {
  SpanId first;
  insert(1, &first);
  OpenSend second = send();
  const SpanId second_id = second.pending.context().span_id;
  OpenSend displaced;
  EXPECT_EQ(table_->insert(address(1), second, displaced), OpenSends::Insert::displaced);
  EXPECT_EQ(displaced.pending.context().span_id, first);
  displaced.pending.discard();
  EXPECT_EQ(take(1), second_id);
  EXPECT_EQ(table_->size(), 0U);
}

TEST_F(KafkaOpenSends, AgreesWithAMapOverManyRandomSteps) {
  std::mt19937 random(1);
  std::unordered_map<std::uintptr_t, SpanId> model;
  for (int step = 0; step < 200000; ++step) {
    const std::uintptr_t number = random() % 3000;
    if (random() % 2 == 0 && model.count(number) == 0) {
      ASSERT_EQ(insert(number, &model[number]), OpenSends::Insert::done);
    } else {
      const auto known = model.find(number);
      const SpanId expected = known != model.end() ? known->second : SpanId{};
      ASSERT_EQ(take(number), expected);
      if (known != model.end()) model.erase(known);
    }
  }
  EXPECT_EQ(table_->size(), model.size());
}

TEST_F(KafkaOpenSends, AHundredThousandOpenSendsTakeAtMost160BytesEach) {
  constexpr std::size_t open = 100000;
  for (std::size_t i = 0; i < open; ++i)
    ASSERT_EQ(insert(i), OpenSends::Insert::done);
  EXPECT_LE(table_->allocated_bytes() / open, 160U);
}

TEST_F(KafkaOpenSends, MemoryIsUsedAgain) {
  for (std::uintptr_t i = 0; i < 1000; ++i)
    insert(i);
  const std::size_t bytes = table_->allocated_bytes();
  for (int round = 0; round < 20; ++round) {
    for (std::uintptr_t i = 0; i < 1000; ++i)
      take(i + static_cast<std::uintptr_t>(round) * 1000);
    for (std::uintptr_t i = 0; i < 1000; ++i)
      insert(i + static_cast<std::uintptr_t>(round + 1) * 1000);
  }
  EXPECT_LE(table_->allocated_bytes(), bytes * 2);
}

TEST_F(KafkaOpenSends, ProducersAndBrokerThreadsMayUseItAtOnce) {
  constexpr std::uintptr_t each = 20000;
  std::vector<std::thread> threads;
  for (std::uintptr_t t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (std::uintptr_t i = 0; i < each; ++i) {
        const std::uintptr_t number = t * each + i;
        EXPECT_EQ(insert(number), OpenSends::Insert::done);
        if (i % 3 == 0) continue;
        EXPECT_TRUE(take(number).valid());
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(table_->size(), 4 * ((each + 2) / 3));
}

}  // namespace
}  // namespace midtrace
