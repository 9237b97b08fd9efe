// Whatever is in a span, its OTLP encoding is well-formed: every length ends where its message does, every
// string is UTF-8, and nothing that the span holds is missing.
//
// The input is a program: a byte chooses what to do with the span, the bytes after it are the operands.
#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <protozero/pbf_reader.hpp>

#include <midtrace/setup.h>
#include <midtrace/trace/tracer.h>

#include "check.h"
#include "export/utf8.h"
#include "protobuf_encoder.h"

namespace {

using midtrace::Span;
using midtrace::Tracer;
using protozero::pbf_reader;
using protozero::pbf_wire_type;

// --- what comes out

void check_string(pbf_reader& message) {
  const auto text = message.get_view();
  FUZZ_CHECK(midtrace::is_utf8({text.data(), text.size()}));
}

std::size_t check_any(pbf_reader any) {
  std::size_t fields = 0;
  while (any.next()) {
    ++fields;
    switch (any.tag()) {
      case 1:
        check_string(any);
        break;
      case 2:
        any.get_bool();
        break;
      case 3:
        any.get_int64();
        break;
      case 4:
        any.get_double();
        break;
      case 5: {
        pbf_reader array = any.get_message();
        while (array.next(1, pbf_wire_type::length_delimited))
          FUZZ_CHECK(check_any(array.get_message()) == 1);
        FUZZ_CHECK(array.length() == 0);
        break;
      }
      default:
        FUZZ_CHECK(any.tag() <= 5);
    }
  }
  return fields;
}

void check_pair(pbf_reader pair) {
  std::array<int, 3> seen{};
  while (pair.next()) {
    FUZZ_CHECK(pair.tag() == 1 || pair.tag() == 2);
    ++seen[pair.tag()];
    if (pair.tag() == 1) {
      check_string(pair);
    } else {
      FUZZ_CHECK(check_any(pair.get_message()) == 1);
    }
  }
  FUZZ_CHECK(seen[1] == 1 && seen[2] == 1);
}

struct Found {
  std::size_t attributes = 0;
  std::size_t events = 0;
  std::size_t links = 0;
  std::size_t dropped = 0;
};

void check_part(pbf_reader part, protozero::pbf_tag_type attributes, bool is_link) {
  while (part.next()) {
    if (part.tag() == attributes) {
      check_pair(part.get_message());
    } else if (part.wire_type() != pbf_wire_type::length_delimited) {
      part.skip();
    } else if (is_link && part.tag() <= 2) {
      const std::size_t expected = part.tag() == 1 ? 16 : 8;  // reading it takes the tag away
      FUZZ_CHECK(part.get_view().size() == expected);
    } else {
      check_string(part);
    }
  }
}

Found check_span(pbf_reader span) {
  Found found;
  while (span.next()) {
    switch (span.tag()) {
      case 1:
        FUZZ_CHECK(span.get_view().size() == 16);
        break;
      case 2:
      case 4:
        FUZZ_CHECK(span.get_view().size() == 8);
        break;
      case 3:
      case 5:
        check_string(span);
        break;
      case 9:
        ++found.attributes;
        check_pair(span.get_message());
        break;
      case 11:
        ++found.events;
        check_part(span.get_message(), 3, false);
        break;
      case 13:
        ++found.links;
        check_part(span.get_message(), 4, true);
        break;
      case 10:
      case 12:
      case 14:
        found.dropped += span.get_uint32();
        break;
      case 15:
        check_part(span.get_message(), 1, false);
        break;
      default:
        FUZZ_CHECK(span.tag() <= 16);
        span.skip();
    }
  }
  return found;
}

// The only span of a request.
Found check_request(std::string_view bytes) {
  Found found;
  std::size_t spans = 0;
  pbf_reader request(bytes.data(), bytes.size());
  FUZZ_CHECK(request.next(1, pbf_wire_type::length_delimited));
  pbf_reader resource_spans = request.get_message();
  FUZZ_CHECK(!request.next());
  while (resource_spans.next()) {
    if (resource_spans.tag() == 1) {
      pbf_reader resource = resource_spans.get_message();
      while (resource.next(1, pbf_wire_type::length_delimited))
        check_pair(resource.get_message());
      continue;
    }
    pbf_reader scope_spans = resource_spans.get_message();
    while (scope_spans.next()) {
      if (scope_spans.tag() == 2) {
        ++spans;
        found = check_span(scope_spans.get_message());
      } else {
        scope_spans.skip();
      }
    }
  }
  FUZZ_CHECK(spans == 1);
  return found;
}

// --- what goes in

class EncodingExporter final : public midtrace::Exporter {
 public:
  midtrace::ExportResult export_batch(const midtrace::ExportBatch& batch) noexcept override {
    encoded = encoder_.encode(batch);
    encoder_.trim();
    return midtrace::ExportResult::success;
  }
  std::string encoded;  // read after a flush

 private:
  midtrace::otlp::ProtobufEncoder encoder_;
};

class Program {
 public:
  Program(const std::uint8_t* bytes, std::size_t size) : rest_(midtrace_fuzz::text_of(bytes, size)) {}
  bool over() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  std::string_view text() {
    const std::size_t size = byte();
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  std::uint64_t number() {
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i)
      value = value << 8U | byte();
    return value;
  }

 private:
  std::string_view rest_;
};

struct Given {
  std::size_t events = 0;
  std::size_t links = 0;
};

void set_something(Span& span, Program& program) {
  const std::string_view key = program.text();
  switch (program.byte() % 8) {
    case 0:
      return span.set(key, program.text());
    case 1:
      return span.set(key, (program.byte() & 1U) != 0);
    case 2:
      return span.set(key, static_cast<std::int64_t>(program.number()));
    case 3: {
      const std::uint64_t bits = program.number();
      double real = 0;
      std::memcpy(&real, &bits, sizeof(real));
      return span.set(key, real);
    }
    case 4: {
      const std::string_view first = program.text();
      const std::array<std::string_view, 3> texts{first, {}, program.text()};
      return span.set(key, std::span<const std::string_view>(texts.data(), program.byte() % 4U));
    }
    case 5: {
      const std::array<bool, 3> flags{true, false, true};
      return span.set(key, std::span<const bool>(flags.data(), program.byte() % 4U));
    }
    case 6: {
      const std::array<std::int64_t, 2> numbers{static_cast<std::int64_t>(program.number()), 0};
      return span.set(key, std::span<const std::int64_t>(numbers.data(), program.byte() % 3U));
    }
    default: {
      const std::array<double, 2> reals{static_cast<double>(program.number()), 0};
      return span.set(key, std::span<const double>(reals.data(), program.byte() % 3U));
    }
  }
}

Given run(Span& span, Program& program) {
  Given given;
  while (!program.over()) {
    switch (program.byte() % 6) {
      case 0:
      case 1:
        set_something(span, program);
        break;
      case 2: {
        const std::string_view name = program.text();
        const std::string_view key = program.text();
        span.add_event(name, {{key, program.text()}, {program.text(), 1}});
        ++given.events;
        break;
      }
      case 3: {
        midtrace::SpanContext context;
        context.trace_id = {program.number() | 1U, program.number()};
        context.span_id = midtrace::SpanId{program.number() | 1U};
        context.flags.bits = program.byte();
        context.remote = (program.byte() & 1U) != 0;
        context.trace_state = midtrace::TraceState::parse(program.text());
        const midtrace::Attribute attributes[] = {{program.text(), 0.5}};
        span.add_link({context, attributes});
        ++given.links;
        break;
      }
      case 4:
        span.set_status(midtrace::StatusCode::error, program.text());
        break;
      default:
        span.set_name(program.text());
    }
  }
  return given;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const auto exporter = std::make_shared<EncodingExporter>();
  static auto* const telemetry = [] {
    midtrace::SetupOptions options;
    options.exporters = {exporter};
    options.sampler = midtrace::always_on_sampler();
    options.read_environment = false;
    return new midtrace::Telemetry(midtrace::setup(std::move(options)));
  }();
  Program program(bytes, size);
  Given given;
  {
    Span span = Tracer::get("fuzz").start("span");
    given = run(span, program);
  }
  FUZZ_CHECK(telemetry->flush(std::chrono::seconds(60)));
  const Found found = check_request(exporter->encoded);
  FUZZ_CHECK(found.events <= given.events && found.links <= given.links);
  if (found.dropped == 0) FUZZ_CHECK(found.events == given.events && found.links == given.links);
  return 0;
}
