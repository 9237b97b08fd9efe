// error.type of Kafka: the protocol's names, librdkafka's for its own errors, and one for everything else.

#include "error_names.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace midtrace {
namespace {

using kafka::detail::error_name;

TEST(KafkaErrorNames, BrokersErrorsHaveTheProtocolsNames) {
  EXPECT_EQ(error_name(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART), "UNKNOWN_TOPIC_OR_PARTITION");
  EXPECT_EQ(error_name(RD_KAFKA_RESP_ERR_INVALID_MSG), "CORRUPT_MESSAGE");
  EXPECT_EQ(error_name(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE), "MESSAGE_TOO_LARGE");
  EXPECT_EQ(error_name(RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION), "NOT_LEADER_OR_FOLLOWER");
  EXPECT_EQ(error_name(RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS), "NOT_ENOUGH_REPLICAS");
  EXPECT_EQ(error_name(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED), "TOPIC_AUTHORIZATION_FAILED");
  EXPECT_EQ(error_name(RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR), "KAFKA_STORAGE_ERROR");
  EXPECT_EQ(error_name(RD_KAFKA_RESP_ERR_PRODUCER_FENCED), "PRODUCER_FENCED");
  EXPECT_EQ(error_name(RD_KAFKA_RESP_ERR_PRINCIPAL_DESERIALIZATION_FAILURE),
            "PRINCIPAL_DESERIALIZATION_FAILURE");
  EXPECT_EQ(error_name(RD_KAFKA_RESP_ERR_UNKNOWN), "UNKNOWN_SERVER_ERROR");
}

TEST(KafkaErrorNames, TheClientsErrorsHaveLibrdkafkasNames) {
  EXPECT_EQ(error_name(RD_KAFKA_RESP_ERR__MSG_TIMED_OUT), "_MSG_TIMED_OUT");
  EXPECT_EQ(error_name(RD_KAFKA_RESP_ERR__QUEUE_FULL), "_QUEUE_FULL");
  EXPECT_EQ(error_name(RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION), "_UNKNOWN_PARTITION");
  EXPECT_EQ(error_name(RD_KAFKA_RESP_ERR__DESTROY), "_DESTROY");
}

TEST(KafkaErrorNames, UnknownCodesAreOther) {
  EXPECT_EQ(error_name(static_cast<rd_kafka_resp_err_t>(200)), "_OTHER");
  EXPECT_EQ(error_name(static_cast<rd_kafka_resp_err_t>(-5)), "_OTHER");
}

TEST(KafkaErrorNames, EveryCodeThatThisLibrdkafkaKnowsHasANameOfItsOwn) {
  const rd_kafka_err_desc* descriptions = nullptr;
  std::size_t count = 0;
  rd_kafka_get_err_descs(&descriptions, &count);
  ASSERT_GT(count, 0U);
  std::set<std::string_view> names;
  int same = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const rd_kafka_err_desc& known = descriptions[i];
    // The table has gaps, and pseudo codes for the ends of ranges.
    if (known.name == nullptr || known.code <= RD_KAFKA_RESP_ERR__BEGIN ||
        known.code == RD_KAFKA_RESP_ERR__END)
      continue;
    const std::string_view name = error_name(known.code);
    EXPECT_NE(name, "_OTHER") << known.name;
    EXPECT_TRUE(names.insert(name).second) << name << " twice";
    if (known.code > 0 && name == known.name) ++same;
  }
  // librdkafka abbreviates a few of them; a table that is shifted by one would agree on none.
  EXPECT_GT(same, 80);
  EXPECT_GT(names.size(), 140U);
}

}  // namespace
}  // namespace midtrace
