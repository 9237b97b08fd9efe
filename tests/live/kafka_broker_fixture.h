// Tests on the real Kafka broker that all cases of a program share. Where the broker cannot be had, they are
// skipped, or fail when it is required (see support/kafka_broker.h).
#ifndef MIDTRACE_TESTS_LIVE_KAFKA_BROKER_FIXTURE_H_
#define MIDTRACE_TESTS_LIVE_KAFKA_BROKER_FIXTURE_H_

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "support/kafka_broker.h"

namespace midtrace::test {

// `Base` is the fixture to stand on: testing::Test, or KafkaFixture to trace as well.
template <class Base>
class OnKafkaBroker : public Base {
 protected:
  void SetUp() override {
    std::string why;
    broker_ = shared_kafka_broker(&why);
    if (broker_ != nullptr) {
      // A test that failed half-way through a restart shall not take the others with it.
      const bool up = broker_->running() || broker_->restart(KafkaBroker::StopMode::kOrderly, &why);
      ASSERT_TRUE(up) << why;
      Base::SetUp();
      return;
    }
    ASSERT_FALSE(kafka_broker_required()) << "real Kafka broker: " << why;
    report_kafka_not_run(why);
    GTEST_SKIP() << "the real Kafka broker is not here: " << why;
  }

  void TearDown() override {
    if (broker_ != nullptr && this->HasFailure()) std::printf("%s", broker_->log_tail().c_str());
    Base::TearDown();
  }

  void create_topic(const std::string& name, int partitions, const KafkaBroker::TopicConfigs& configs = {}) {
    std::string why;
    ASSERT_TRUE(broker_->create_topic(name, partitions, configs, &why)) << why;
  }

  KafkaBroker* broker_ = nullptr;
};

}  // namespace midtrace::test

#endif  // MIDTRACE_TESTS_LIVE_KAFKA_BROKER_FIXTURE_H_
