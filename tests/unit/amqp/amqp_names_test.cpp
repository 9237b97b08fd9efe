// Destination names: how they are put together, and which are generated.

#include "names.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace midtrace {
namespace {

using amqp::detail::consumer_destination;
using amqp::detail::DestinationName;
using amqp::detail::is_generated_name;
using amqp::detail::producer_destination;
using amqp::detail::without_reply_token;

TEST(AmqpNames, OrdinaryNamesAreNotGenerated) {
  for (const std::string_view name : {
           "",
           "a",
           "orders",
           "order.created",
           "amq.direct",
           "amq.topic",
           "amq.default",
           "amq.rabbitmq.trace",
           "amq.rabbitmq.log",
           "order-service-2024-retry-queue1",
           "payments.eu-west-1.v2",
           "invoice_2023_12_31",
           "invoice.2023.12",
           "OrderCreatedEventV2",
           "MyCompany.Messages.OrderSubmitted:v1",
           "MassTransit:Fault--OrderService.Contracts:SubmitOrder--",
           "notifications-email-high-priority-dead-letter-queue",
           "dlx.orders.eu-central-1a.prod",
           "k8s-cluster-01.node-pool-2.metrics",
           "user.12345.updated",
           "sensor.4711.temperature",
           "#",
           "*.critical.#",
           "warehouse_7_stock_level_changed",
           "internationalization_requests",
           "INTERNATIONALIZATION_REQUESTS",
           "customer360ViewUpdateRequests",
           "oauth2tokenrefreshqueue",
           "retry2queue10backoff30seconds",
           "ipv4ToIpv6MigrationTasks",
           "http2WebhookDispatcher",
           "base64EncodedAttachments",
           "deadbeef",
           "facade-decade-cafe",
           "effaced.facade",
           "feedbackaccepted",
           "defaced1",
           "S3ObjectCreatedNotificationQueue",
           "1234567",
           "release-1.22.333.4444",
           "p2p",
           "celery@worker1",
           "Überweisungen.Prüfung",
           "queue with spaces 2",
           "a1b2c3",
       }) {
    EXPECT_FALSE(is_generated_name(name)) << name;
  }
}

TEST(AmqpNames, GeneratedNamesAre) {
  for (const std::string_view name : {
           "amq.gen-JzTY20BRgKO-HjmUJj0wLg",
           "amq.gen-a",
           "amq.ctag-e3pxTwXWS0ZLIiZ9Yq8AqQ",
           "amq.rabbitmq.reply-to",
           "amq.rabbitmq.reply-to.g1h2AA5yZXBseUA0Mzg5.xyz==",
           "f47ac10b-58cc-4372-a567-0e02b2c3d479",
           "F47AC10B-58CC-4372-A567-0E02B2C3D479",
           "f47ac10b_58cc_4372_a567_0e02b2c3d479",
           "orders.f47ac10b-58cc-4372-a567-0e02b2c3d479",
           "f47ac10b-58cc-4372-a567-0e02b2c3d479.reply.celery.pidbox",
           "reply-f47ac10b-58cc-4372-a567-0e02b2c3d479-worker",
           "rpc_f47ac10b-58cc-4372-a567-0e02b2c3d479",
           "session:{f47ac10b-58cc-4372-a567-0e02b2c3d479}",
           "00000000-0000-0000-0000-000000000000",
           "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
           "f47ac10b58cc4372a5670e02b2c3d479",
           "ctag1.693fe9cd7eea4fa68ca243ddce571142",
           "abcdefabcdefabcdefabcdefabcdefab",
           "da39a3ee5e6b4b0d3255bfef95601890afd80709",
           "worker.3f2a9c1b7d4e",
           "507f1f77bcf86cd799439011",
           "cmd.8a6f2b91c04d77e3",
           "spring.gen-3x5pQzk1R4mA8bN2c7vT9w",
           "input.anonymous.tJLyp-8aTLqaZ3XYbZsjPA",
           "q-9XbV3kQ2mZ7wL1pR",
           "zqUE8f3Kd0Xn5Rb2Yt7h",
           "bus_n9y7yyfdr4oyw8iyb5pyaxq6n1",
           "k3j9x0q7w2z8m4c1",
           "01HV9Z3W7QK5T8M2N4P6R0S1BX",
           "orders-7d9f8b6c5d-x2x4z",
           "events.payment-service-5f6b8d7c99-kqk2n",
           "orders.20231231",
           "batch-1700000000",
           "file1700000000123",
           "user.49170123456.sms",
           "a.12345678",
       }) {
    EXPECT_TRUE(is_generated_name(name)) << name;
  }
}

TEST(AmqpNames, AUuidCountsOnlyAsAPartOfItsOwn) {
  EXPECT_FALSE(is_generated_name("gabcdefab-abcd-abcd-abcd-abcdefabcdef"));
  EXPECT_FALSE(is_generated_name("abcdefab-abcd-abcd-abcd-abcdefabcdefg"));
  EXPECT_FALSE(is_generated_name("abcdefab-abcd_abcd-abcd-abcdefabcdef"));
  EXPECT_FALSE(is_generated_name("abcdefab-abcd-abcd-abcd-abcdefabcde"));
  EXPECT_TRUE(is_generated_name("abcdefab-abcd-abcd-abcd-abcdefabcdef"));
}

TEST(AmqpNames, TheTokenOfAReplyKeyIsCutOff) {
  EXPECT_EQ(without_reply_token("amq.rabbitmq.reply-to"), "amq.rabbitmq.reply-to");
  EXPECT_EQ(without_reply_token("amq.rabbitmq.reply-to.g1h2AA5yZXBs.abc=="), "amq.rabbitmq.reply-to");
  EXPECT_EQ(without_reply_token("amq.rabbitmq.reply-to."), "amq.rabbitmq.reply-to");
  EXPECT_EQ(without_reply_token("amq.rabbitmq.reply-tone"), "amq.rabbitmq.reply-tone");
  EXPECT_EQ(without_reply_token("orders"), "orders");
  EXPECT_EQ(without_reply_token(""), "");
}

TEST(AmqpNames, OfAProducersDestination) {
  struct {
    std::string_view exchange, key, name;
    bool anonymous;
  } const cases[] = {
      {"direct_logs", "warning", "direct_logs:warning", false},
      {"logs", "", "logs", false},
      {"", "my_queue", "my_queue", false},
      {"", "", "amq.default", false},
      {"", "amq.gen-JzTY20BRgKO-HjmUJj0wLg", "amq.gen-JzTY20BRgKO-HjmUJj0wLg", true},
      {"x.f47ac10b58cc4372a5670e02b2c3d479", "k", "x.f47ac10b58cc4372a5670e02b2c3d479:k", true},
      {"", "amq.rabbitmq.reply-to.g1h2AA5yZXBs.abc==", "amq.rabbitmq.reply-to", true},
      {"replies", "amq.rabbitmq.reply-to.g1h2AA5yZXBs.abc==", "replies:amq.rabbitmq.reply-to", true},
      {"logs", "\xFF\xFE", "logs", true},
      {"logs", "a\nb", "logs", true},
      {"", "a\x01", "", true},
      {"Prüfung", "größe", "Prüfung:größe", false},
  };
  DestinationName name;
  for (const auto& each : cases) {
    producer_destination(each.exchange, each.key, name);
    EXPECT_EQ(name.name, each.name);
    EXPECT_EQ(name.anonymous, each.anonymous) << each.name;
  }
}

TEST(AmqpNames, OfAConsumersDestination) {
  struct {
    std::string_view exchange, key, queue, name;
    bool anonymous;
  } const cases[] = {
      {"direct_logs", "warning", "my_queue", "direct_logs:warning:my_queue", false},
      {"direct_logs", "warning", "warning", "direct_logs:warning", false},
      {"direct_logs", "warning", "", "direct_logs:warning", false},
      {"logs", "", "my_queue", "logs:my_queue", false},
      {"logs", "", "", "logs", false},
      {"", "my_queue", "my_queue", "my_queue", false},
      {"", "", "my_queue", "my_queue", false},
      {"", "", "", "amq.default", false},
      {"logs", "", "amq.gen-JzTY20BRgKO", "logs:amq.gen-JzTY20BRgKO", true},
      {"", "amq.rabbitmq.reply-to.g1h2AA.abc==", "amq.rabbitmq.reply-to", "amq.rabbitmq.reply-to", true},
      {"logs", "k", "\x80", "logs:k", true},
  };
  DestinationName name;
  for (const auto& each : cases) {
    consumer_destination(each.exchange, each.key, each.queue, name);
    EXPECT_EQ(name.name, each.name);
    EXPECT_EQ(name.anonymous, each.anonymous) << each.name;
  }
}

}  // namespace
}  // namespace midtrace
