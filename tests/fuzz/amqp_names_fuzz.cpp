// Names as other programs choose them: whatever the bytes, a destination name is plain text, has its parts,
// and no token of a reply key.
#include <string>
#include <string_view>

#include "check.h"
#include "messaging/text.h"
#include "names.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  namespace detail = midtrace::amqp::detail;
  std::string_view rest = midtrace_fuzz::text_of(bytes, size);
  const std::string_view exchange = midtrace_fuzz::take_line(rest);
  const std::string_view key = midtrace_fuzz::take_line(rest);
  const std::string_view queue = rest;

  detail::DestinationName producer;
  detail::DestinationName consumer;
  detail::producer_destination(exchange, key, producer);
  detail::consumer_destination(exchange, key, queue, consumer);
  for (const detail::DestinationName& name : {producer, consumer}) {
    FUZZ_CHECK(midtrace::messaging::is_plain_text(name.name));
    FUZZ_CHECK(!name.name.empty() || name.anonymous);
  }
  FUZZ_CHECK(producer.name.size() <= exchange.size() + key.size() + 11);
  // A consumer's name is a producer's with the queue behind it.
  if (producer.name != "amq.default" && !producer.name.empty())
    FUZZ_CHECK(consumer.name.starts_with(producer.name));
  if (producer.anonymous) FUZZ_CHECK(consumer.anonymous);
  for (const std::string_view part : {exchange, key, queue}) {
    const std::string_view shown = detail::without_reply_token(part);
    FUZZ_CHECK(part.starts_with(shown) && detail::without_reply_token(shown) == shown);
    if (shown != part) FUZZ_CHECK(detail::is_generated_name(part) && detail::is_generated_name(shown));
    // Another part in front does not hide what is generated.
    if (detail::is_generated_name(part) && !part.starts_with("amq."))
      FUZZ_CHECK(detail::is_generated_name("orders." + std::string(part)));
  }
  return 0;
}
