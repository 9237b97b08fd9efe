// Whole traces through an encoder: the input is a program that starts spans in changing scopes and fills
// them; the exporter is shown what it was given, and what the encoder makes of a batch says the same as the
// batch.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <midtrace/export/exporter.h>
#include <midtrace/setup.h>
#include <midtrace/trace/tracer.h>

#include "items.h"
#include "program.h"

namespace midtrace_fuzz {

// What the application gave a span, and what the exporter was shown of it.
struct Content {
  std::string name;
  std::map<std::string, std::string> texts;  // attributes that are strings
  std::size_t events = 0;
  std::size_t links = 0;
  std::size_t dropped = 0;
};
using Contents = std::map<std::string, Content>;  // by span id

// Encode: std::string(const ExportBatch&). Decode: Items(std::string_view), which also checks the form.
template <class Encode, class Decode>
class CheckingExporter final : public midtrace::Exporter {
 public:
  CheckingExporter(Encode encode, Decode decode) : encode_(std::move(encode)), decode_(std::move(decode)) {}

  midtrace::ExportResult export_batch(const midtrace::ExportBatch& batch) noexcept override {
    check_same(items_of(batch), decode_(encode_(batch)));
    for (const midtrace::SpanView& span : batch.spans) {
      Content& content = shown[span.context().span_id.to_string()];
      content = {std::string(span.name()),
                 {},
                 span.event_count(),
                 span.link_count(),
                 span.attributes().dropped() + span.dropped_events() + span.dropped_links()};
      span.attributes().for_each([&](std::string_view key, const AttributeValue& value) {
        if (value.type() == AttributeType::string) content.texts[std::string(key)] = value.as_string();
      });
    }
    return midtrace::ExportResult::success;
  }

  Contents shown;  // read after a flush

 private:
  Encode encode_;
  Decode decode_;
};

inline AttributeValue first_of(const auto& elements, unsigned count) {
  return std::span(elements.data(), count % (elements.size() + 1));
}

inline void set_something(midtrace::Span& span, Program& program, Content& content) {
  const std::string_view key = program.text();
  const unsigned type = program.byte() % 8;
  if (type == 0) {
    const std::string_view text = program.text();
    span.set(key, text);
    content.texts[std::string(key)] = text;
    return;
  }
  content.texts.erase(std::string(key));
  switch (type) {
    case 1:
      return span.set(key, (program.byte() & 1U) != 0);
    case 2:
      return span.set(key, static_cast<std::int64_t>(program.number()));
    case 3:
      return span.set(key, std::bit_cast<double>(program.number()));
    case 4: {
      const std::string_view first = program.text();
      const std::array<std::string_view, 3> texts{first, {}, program.text()};
      return span.set(key, first_of(texts, program.byte()));
    }
    case 5: {
      constexpr std::array<bool, 3> flags{true, false, true};
      return span.set(key, first_of(flags, program.byte()));
    }
    case 6: {
      const std::array<std::int64_t, 2> numbers{static_cast<std::int64_t>(program.number()), 0};
      return span.set(key, first_of(numbers, program.byte()));
    }
    default: {
      const std::array<double, 2> reals{std::bit_cast<double>(program.number()), 0};
      return span.set(key, first_of(reals, program.byte()));
    }
  }
}

inline void add_link(midtrace::Span& span, Program& program) {
  midtrace::SpanContext context;
  context.trace_id = {program.number() | 1U, program.number()};
  context.span_id = midtrace::SpanId{program.number() | 1U};
  context.flags.bits = program.byte();
  context.remote = (program.byte() & 1U) != 0;
  context.trace_state = midtrace::TraceState::parse(program.text());
  const midtrace::Attribute attributes[] = {{program.text(), 0.5}};
  span.add_link({context, attributes});
}

// Until the program is over or starts the next span. False when it is over.
inline bool fill(midtrace::Span& span, Program& program, Content& content) {
  while (!program.over()) {
    switch (program.byte() % 7) {
      case 0:
      case 1:
        set_something(span, program, content);
        break;
      case 2: {
        const std::string_view name = program.text();
        const std::string_view key = program.text();
        span.add_event(name, {{key, program.text()}, {program.text(), 1}});
        ++content.events;
        break;
      }
      case 3:
        add_link(span, program);
        ++content.links;
        break;
      case 4:
        span.set_status(midtrace::StatusCode::error, program.text());
        break;
      case 5:
        content.name = program.text();
        span.set_name(content.name);
        break;
      default:
        return true;
    }
  }
  return false;
}

inline Contents run(Program& program) {
  constexpr std::array<const char*, 3> scopes{"first", "second", "caf\xC3\xA9"};
  Contents given;
  for (bool more = true; more && given.size() < 100;) {
    midtrace::Span span = midtrace::Tracer::get(scopes[program.byte() % scopes.size()]).start("span");
    Content content{.name = "span", .texts = {}};
    more = fill(span, program, content);
    given[span.context().span_id.to_string()] = content;
  }
  return given;
}

inline void check_shown(const Content& given, const Content& shown) {
  FUZZ_CHECK(given.name == shown.name);
  FUZZ_CHECK(shown.events <= given.events && shown.links <= given.links);
  for (const auto& [key, text] : shown.texts)
    FUZZ_CHECK(shown.dropped != 0 || (given.texts.contains(key) && given.texts.at(key) == text));
  if (shown.dropped == 0) FUZZ_CHECK(given.events == shown.events && given.links == shown.links);
}

// The target. The exporter and the tracing are made once.
template <class Encode, class Decode>
void check_encoder(Encode encode, Decode decode, const std::uint8_t* bytes, std::size_t size) {
  using Checking = CheckingExporter<Encode, Decode>;
  static const auto* const exporter =
      new auto(std::make_shared<Checking>(std::move(encode), std::move(decode)));
  static auto* const telemetry = [] {
    midtrace::SetupOptions options;
    options.exporters = {*exporter};
    options.sampler = midtrace::always_on_sampler();
    options.read_environment = false;
    return new midtrace::Telemetry(midtrace::setup(std::move(options)));
  }();
  (*exporter)->shown.clear();
  Program program(bytes, size);
  const Contents given = run(program);
  FUZZ_CHECK(telemetry->flush(std::chrono::seconds(60)));
  const Contents& shown = (*exporter)->shown;
  FUZZ_CHECK(given.size() == shown.size());
  for (const auto& [id, content] : given) {
    FUZZ_CHECK(shown.contains(id));
    check_shown(content, shown.at(id));
  }
}

}  // namespace midtrace_fuzz
