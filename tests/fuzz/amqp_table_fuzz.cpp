// A table as rabbitmq-c decodes it from the wire, and tables that no wire makes. The library's own encoding
// is the oracle: sizes are exact, headers go through byte for byte, and whatever it refuses is left alone.
#include <amqp.h>
#include <amqp_framing.h>

#include <array>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "check.h"
#include "messaging/field_buffer.h"
#include "outgoing_headers.h"
#include "program.h"
#include "provenance.h"
#include "table.h"

#include <midtrace/propagation/propagator.h>

namespace {

namespace detail = midtrace::amqp::detail;
using midtrace::messaging::FieldBuffer;
using midtrace_fuzz::Program;

// More than any size that is measured too small, so that the difference shows.
constexpr std::size_t spare = 1024;

std::string encoded(amqp_table_t table) {
  std::string buffer(detail::encoded_table_bytes(table).value_or(0) + spare, '\0');
  std::size_t offset = 0;
  if (amqp_encode_table({buffer.size(), buffer.data()}, &table, &offset) != AMQP_STATUS_OK) return {};
  buffer.resize(offset);
  return buffer;
}

std::string encoded(const amqp_table_entry_t& entry) {
  amqp_table_entry_t copy = entry;
  return encoded(amqp_table_t{1, &copy});
}

class Pool {
 public:
  Pool() { init_amqp_pool(&pool_, 4096); }
  ~Pool() { empty_amqp_pool(&pool_); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  amqp_pool_t* get() { return &pool_; }

 private:
  amqp_pool_t pool_;
};

bool decode(std::string_view bytes, Pool& pool, amqp_table_t& table) {
  std::size_t offset = 0;
  return amqp_decode_table({bytes.size(), const_cast<char*>(bytes.data())}, pool.get(), &table, &offset) ==
         AMQP_STATUS_OK;
}

// A table as an application may fill it in: any kind, null pointers, lengths that no bytes have.
class Maker {
 public:
  explicit Maker(Program& program) : program_(program) {}

  amqp_table_t table(int depth) {
    const std::uint8_t shape = program_.byte();
    if (shape == 0xFF) return {-1, nullptr};
    if (shape == 0xFE) return {2, nullptr};
    std::vector<amqp_table_entry_t> entries;
    for (int left = shape % 8; left > 0; --left) {
      amqp_table_entry_t entry = {};
      entry.key = key();
      entry.value = value(depth);
      entries.push_back(entry);
    }
    tables_.push_back(std::move(entries));
    return {static_cast<int>(tables_.back().size()), tables_.back().data()};
  }

 private:
  static amqp_bytes_t view(std::string_view text) { return {text.size(), const_cast<char*>(text.data())}; }

  amqp_bytes_t key() {
    static constexpr std::array<std::string_view, 12> names = {"traceparent",
                                                               "tracestate",
                                                               "baggage",
                                                               "b3",
                                                               "x-death",
                                                               "x-delivery-count",
                                                               "x-acquired-count",
                                                               "x-first-death-reason",
                                                               "x-first-death-queue",
                                                               "x-first-death-exchange",
                                                               "count",
                                                               "reason"};
    const std::uint8_t which = program_.byte();
    if (which < names.size()) return view(names[which]);
    if (which == 0xFF) return {program_.byte(), nullptr};
    if (which == 0xFE) return view(long_);
    return view(program_.text());
  }

  amqp_field_value_t value(int depth) {
    amqp_field_value_t value = {};
    value.kind = program_.byte();
    switch (value.kind) {
      case AMQP_FIELD_KIND_UTF8:
      case AMQP_FIELD_KIND_BYTES:
        if (program_.byte() == 0xFF) {
          value.value.bytes = {program_.byte(), nullptr};
        } else {
          value.value.bytes = view(program_.text());
        }
        break;
      case AMQP_FIELD_KIND_TABLE:
        if (depth > 0) value.value.table = table(depth - 1);
        break;
      case AMQP_FIELD_KIND_ARRAY: {
        std::vector<amqp_field_value_t> values;
        for (int left = depth > 0 ? program_.byte() % 4 : 0; left > 0; --left)
          values.push_back(this->value(depth - 1));
        arrays_.push_back(std::move(values));
        value.value.array = {static_cast<int>(arrays_.back().size()), arrays_.back().data()};
        break;
      }
      default:
        value.value.u64 = program_.number();
    }
    return value;
  }

  Program& program_;
  std::deque<std::vector<amqp_table_entry_t>> tables_;
  std::deque<std::vector<amqp_field_value_t>> arrays_;
  std::string long_ = std::string(256, 'n');
};

void check_outgoing(const detail::TableReader& reader, const amqp_table_t& table, const std::string& bytes) {
  FieldBuffer fields;
  midtrace::Context context;
  context.span = midtrace::parse_traceparent("00-11111111111111111111111111111111-2222222222222222-01");
  midtrace::propagator().inject(context, fields);
  FUZZ_CHECK(fields.complete() && fields.size() != 0);
  detail::OutgoingHeaders outgoing;
  FUZZ_CHECK(outgoing.build(reader, fields));
  const std::string built = encoded(outgoing.table());
  FUZZ_CHECK(built.size() == outgoing.wire_bytes());
  FUZZ_CHECK(detail::most_outgoing_bytes(reader, fields) == built.size());
  FUZZ_CHECK(encoded(table) == bytes);

  Pool pool;
  amqp_table_t decoded = {};
  FUZZ_CHECK(decode(built, pool, decoded));
  int next = 0;
  for (const amqp_table_entry_t& entry : reader.entries()) {
    const std::string_view name = detail::text_of(entry.key);
    const bool ours = name == "traceparent" || name == "tracestate";
    if (ours) continue;
    FUZZ_CHECK(next < decoded.num_entries && encoded(decoded.entries[next]) == encoded(entry));
    ++next;
  }
  FUZZ_CHECK(static_cast<std::size_t>(decoded.num_entries - next) == fields.size());
  for (std::size_t index = 0; index < fields.size(); ++index, ++next) {
    const amqp_table_entry_t& entry = decoded.entries[next];
    FUZZ_CHECK(detail::text_of(entry.key) == fields[index].name);
    FUZZ_CHECK(entry.value.kind == AMQP_FIELD_KIND_UTF8);
    FUZZ_CHECK(detail::text_of(entry.value.value.bytes) ==
               std::string_view(fields[index].value, fields[index].value_length));
  }
  // A reader of the result finds our context.
  midtrace::Context found;
  const amqp_table_t result = outgoing.table();
  midtrace::propagator().extract(detail::TableReader(&result, midtrace::propagator().fields(), false), found);
  FUZZ_CHECK(found.span.trace_id == context.span.trace_id && found.span.span_id == context.span.span_id);
}

void check_provenance(const amqp_table_t& table) {
  for (const bool redelivered : {false, true}) {
    const detail::Provenance found = detail::provenance_of(&table, redelivered);
    FUZZ_CHECK(found.attempt >= (redelivered ? 0 : 1) && found.attempt <= detail::max_attempt);
    FUZZ_CHECK(found.deaths == 0 || found.dead_lettered);
    FUZZ_CHECK(found.deaths <= 64 * static_cast<std::uint64_t>(detail::max_attempt));
  }
}

void check(const amqp_table_t& table) {
  const auto fields = midtrace::propagator().fields();
  const detail::TableReader reader(&table, fields, true);
  std::size_t texts = 0;
  reader.for_each([&](std::string_view name, std::string_view) {
    FUZZ_CHECK(!name.empty());
    ++texts;
    return true;
  });
  FUZZ_CHECK(texts <= reader.entries().size());
  for (const std::string_view field : fields) {
    std::vector<std::string_view> all;
    std::vector<std::string_view> slow;
    reader.get_all(field, [&](std::string_view value) {
      all.push_back(value);
      return true;
    });
    reader.for_each([&](std::string_view name, std::string_view value) {
      if (name == field) slow.push_back(value);
      return true;
    });
    FUZZ_CHECK(all == slow && (all.empty() || reader.has_fields()));
  }
  midtrace::Context context;
  midtrace::propagator().extract(reader, context);
  check_provenance(table);

  FieldBuffer none;
  detail::OutgoingHeaders outgoing;
  FUZZ_CHECK(outgoing.build(reader, none) == reader.wire_bytes().has_value());
  FUZZ_CHECK(reader.wire_bytes() == detail::encoded_table_bytes(table));
  if (!reader.wire_bytes().has_value()) return;
  const std::string bytes = encoded(table);
  FUZZ_CHECK(*reader.wire_bytes() == bytes.size());
  amqp_basic_properties_t properties = {};
  properties._flags = AMQP_BASIC_HEADERS_FLAG;
  properties.headers = table;
  std::string frame(bytes.size() + spare, '\0');
  const int library = amqp_encode_properties(AMQP_BASIC_CLASS, &properties, {frame.size(), frame.data()});
  FUZZ_CHECK(library > 0 &&
             detail::header_frame_payload_bytes(&properties) == 12U + static_cast<unsigned>(library));
  check_outgoing(reader, table, bytes);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view input = midtrace_fuzz::text_of(bytes, size);
  if (input.empty()) return 0;
  if (input.front() != 'w') {
    Program program(bytes, size);
    program.byte();
    Maker maker(program);
    check(maker.table(6));
    return 0;
  }
  // From the wire: the size of the table is reckoned here, so that any bytes are its entries.
  const std::string_view entries = input.substr(1);
  std::string wire;
  for (const int shift : {24, 16, 8, 0})
    wire += static_cast<char>(entries.size() >> static_cast<unsigned>(shift));
  wire += entries;
  Pool pool;
  amqp_table_t table = {};
  if (!decode(wire, pool, table)) return 0;
  // What came over the wire has a size, unless it is nested too deep; a boolean may be written otherwise.
  const auto measured = detail::encoded_table_bytes(table);
  FUZZ_CHECK(!measured.has_value() || *measured == wire.size());
  check(table);
  return 0;
}
