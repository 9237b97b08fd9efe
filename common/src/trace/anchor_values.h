// Conversions between midtrace's values and the plain C ones of the anchor's table.
//
// Plain values are views: they live as long as what they were made from. The containers may throw
// std::bad_alloc, which their callers turn into a counted loss.
#pragma once

#include <atomic>
#include <deque>
#include <vector>

#include <midtrace/trace/types.h>

#include "anchor.h"

namespace midtrace {
inline namespace v1 {
namespace anchor {

inline std::string_view view(const midtrace_text& text) noexcept { return {text.text, text.size}; }
inline midtrace_text to_plain(std::string_view text) noexcept { return {text.data(), text.size()}; }

midtrace_span_context to_plain(const SpanContext& context) noexcept;
SpanContext from_plain(const midtrace_span_context& context) noexcept;
midtrace_context to_plain(const Context& context, std::vector<midtrace_baggage_member>& members);
Context from_plain(const midtrace_context& context) noexcept;

// Plain attributes read as ours.
class Attributes {
 public:
  void add(const midtrace_attribute& attribute);
  std::span<const Attribute> view() const noexcept { return attributes_; }

 private:
  std::vector<Attribute> attributes_;
  std::deque<std::vector<std::string_view>> strings_;
};

class Links {
 public:
  void add(const midtrace_link& link);
  std::span<const Link> view() const noexcept { return links_; }

 private:
  std::vector<Link> links_;
  std::deque<Attributes> attributes_;
};

// Our attributes as plain ones.
class PlainAttributes {
 public:
  void add(std::string_view key, const AttributeValue& value);
  const midtrace_attribute* data() const noexcept { return attributes_.data(); }
  std::size_t size() const noexcept { return attributes_.size(); }

 private:
  std::vector<midtrace_attribute> attributes_;
  std::deque<std::vector<midtrace_text>> strings_;
};

// What all copies share, and the table of another copy, or null.
midtrace_anchor& shared() noexcept;
const midtrace_anchor_table* foreign_table() noexcept;

}  // namespace anchor
}  // namespace v1
}  // namespace midtrace
