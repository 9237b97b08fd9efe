// A baggage keeps its limits, holds UTF-8 only, and what is sent of it reads back as the same members.
//
// Line breaks in the input separate header lines.
#include <string>
#include <string_view>
#include <vector>

#include <midtrace/propagation/propagator.h>

#include "check.h"
#include "unit/propagation/list_carrier.h"

namespace {

using midtrace::Baggage;
using midtrace::Context;
using midtrace_test::ListCarrier;

Baggage extracted(const ListCarrier& carrier) {
  Context context;
  midtrace::BaggagePropagator().extract(carrier, context);
  return context.baggage;
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) -> unsigned {
      return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U;
    };
    const unsigned lead = byte(i);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    unsigned code = length == 1 ? lead : lead & (0x7FU >> length);
    if (length > 1 && (lead & 0xC0U) != 0xC0U) return false;
    for (std::size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xC0U) != 0x80U) return false;
      code = code << 6U | (byte(i + k) & 0x3FU);
    }
    const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < least[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
    i += length;
  }
  return true;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string_view input = midtrace_fuzz::text_of(bytes, size);
  std::vector<ListCarrier::Field> lines;
  for (;;) {
    const std::size_t end = input.find('\n');
    lines.emplace_back("baggage", input.substr(0, end));
    if (end == std::string_view::npos) break;
    input.remove_prefix(end + 1);
  }
  const Baggage baggage = extracted(ListCarrier(lines));
  FUZZ_CHECK(baggage.size() <= Baggage::max_members);
  FUZZ_CHECK(baggage.empty() == (baggage.size() == 0));
  std::size_t total = 0;
  baggage.for_each([&](const Baggage::Member& member) {
    FUZZ_CHECK(!member.name.empty());
    FUZZ_CHECK(is_utf8(member.value));
    FUZZ_CHECK(baggage.get(member.name) == member.value);
    total += member.name.size() + member.value.size() + member.metadata.size();
  });
  FUZZ_CHECK(total <= Baggage::max_bytes);

  ListCarrier sent;
  midtrace::BaggagePropagator().inject({{}, baggage, false}, sent);
  FUZZ_CHECK(sent.fields().size() <= 1);
  if (!sent.fields().empty()) FUZZ_CHECK(sent.fields().front().second.size() <= Baggage::max_bytes);

  // Encoding may lengthen what came in wrongly escaped, and then members are left out; the others are the
  // same.
  const Baggage received = extracted(sent);
  received.for_each([&](const Baggage::Member& member) {
    const auto original = baggage.find(member.name);
    FUZZ_CHECK(original && original->value == member.value && original->metadata == member.metadata);
  });
  if (total * 9 < Baggage::max_bytes / 2) FUZZ_CHECK(received == baggage);

  // What was sent once is sent again unchanged.
  ListCarrier again;
  midtrace::BaggagePropagator().inject({{}, received, false}, again);
  FUZZ_CHECK(again.text() == sent.text());

  Baggage built;
  baggage.for_each(
      [&](const Baggage::Member& member) { built = built.with(member.name, member.value, member.metadata); });
  FUZZ_CHECK(built == baggage);
  return 0;
}
