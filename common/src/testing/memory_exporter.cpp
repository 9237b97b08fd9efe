#include <algorithm>
#include <charconv>
#include <cmath>
#include <exception>
#include <new>

#include <midtrace/testing/testing.h>

#include "printed.h"

namespace midtrace {
inline namespace v1 {
namespace testing {

namespace {

using testing::printed;

std::string printed(bool value) { return value ? "true" : "false"; }

std::string printed(std::int64_t value) { return std::to_string(value); }

// The shortest digits that read back as the same number, whatever the locale; NaN without a sign.
std::string printed(double value) {
  if (std::isnan(value)) return "nan";
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof(digits), value).ptr};
}

template <class Element>
std::string listed(std::span<const Element> elements) {
  std::string result = "[";
  for (const Element& element : elements) {
    if (result.size() > 1) result += ", ";
    result += printed(element);
  }
  return result + "]";
}

OwnedValue owned(const AttributeValue& value) {
  switch (value.type()) {
    case AttributeType::boolean:
      return value.as_boolean();
    case AttributeType::integer:
      return value.as_integer();
    case AttributeType::real:
      return value.as_real();
    case AttributeType::string_array:
      return listed(value.as_string_array());
    case AttributeType::boolean_array:
      return listed(value.as_boolean_array());
    case AttributeType::integer_array:
      return listed(value.as_integer_array());
    case AttributeType::real_array:
      return listed(value.as_real_array());
    case AttributeType::string:
      break;
  }
  return std::string(value.as_string());
}

std::vector<OwnedAttribute> owned(const AttributesView& attributes) {
  std::vector<OwnedAttribute> result;
  result.reserve(attributes.size());
  attributes.for_each([&result](std::string_view key, const AttributeValue& value) {
    result.push_back({std::string(key), owned(value), value.type()});
  });
  return result;
}

OwnedSpan owned(const SpanView& span) {
  OwnedSpan result{.name = std::string(span.name()),
                   .kind = span.kind(),
                   .context = span.context(),
                   .parent_span_id = span.parent_span_id(),
                   .parent_remote = span.parent_remote(),
                   .start_unix_nanos = span.start_unix_nanos(),
                   .end_unix_nanos = span.end_unix_nanos(),
                   .status = span.status(),
                   .status_description = std::string(span.status_description()),
                   .scope_name = std::string(span.scope().name),
                   .scope_version = std::string(span.scope().version),
                   .scope_schema_url = std::string(span.scope().schema_url),
                   .attributes = owned(span.attributes()),
                   .events = {},
                   .links = {},
                   .dropped_attributes = span.attributes().dropped(),
                   .dropped_events = span.dropped_events(),
                   .dropped_links = span.dropped_links()};
  result.events.reserve(span.event_count());
  span.for_each_event([&result](const EventView& event) {
    result.events.push_back({std::string(event.name), event.unix_nanos, owned(event.attributes)});
  });
  result.links.reserve(span.link_count());
  span.for_each_link([&result](const LinkView& link) {
    result.links.push_back({link.context, owned(link.attributes)});
  });
  return result;
}

}  // namespace

std::string OwnedAttribute::text() const {
  return std::visit([](const auto& held) { return printed(held); }, value);
}

std::string OwnedSpan::attribute(std::string_view key) const {
  const auto found = std::find_if(attributes.begin(), attributes.end(),
                                  [key](const OwnedAttribute& attribute) { return attribute.key == key; });
  return found == attributes.end() ? std::string() : found->text();
}

ExportResult MemoryExporter::export_batch(const ExportBatch& batch) noexcept {
  try {
    std::lock_guard guard(mutex_);
    if (resource_.empty()) resource_ = batch.resource.attributes();
    for (const SpanView& span : batch.spans)
      spans_.push_back(owned(span));
    return ExportResult::success;
  } catch (const std::exception&) {  // no memory
    return ExportResult::failure;
  }
}

void MemoryExporter::after_fork() noexcept {
  // The parent's collector may have held or been changing them at the moment of the fork: neither used nor
  // freed.
  new (&mutex_) std::mutex;
  new (&spans_) std::vector<OwnedSpan>;
  new (&resource_) std::vector<ResourceAttribute>;
}

std::vector<OwnedSpan> MemoryExporter::spans() const {
  std::lock_guard guard(mutex_);
  return spans_;
}

std::vector<ResourceAttribute> MemoryExporter::resource() const {
  std::lock_guard guard(mutex_);
  return resource_;
}

void MemoryExporter::clear() {
  std::lock_guard guard(mutex_);
  spans_.clear();
}

}  // namespace testing
}  // namespace v1
}  // namespace midtrace
