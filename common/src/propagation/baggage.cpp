#include <midtrace/context/baggage.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include <midtrace/propagation/propagator.h>

#include "../context/ascii.h"
#include "../context/baggage_builder.h"
#include "../context/baggage_metadata.h"
#include "baggage_problems.h"

namespace midtrace {
inline namespace v1 {

namespace {

constexpr std::string_view baggage_name = "baggage";
constexpr std::array<std::string_view, 1> field_names{baggage_name};

// What of a value needs no escape.
constexpr CharacterSet plain_characters = baggage_characters.without("%");

// What is looked at, over all lines. Members behind it are dropped unread, so that a hostile sender costs
// little.
constexpr std::size_t longest_look = 64 * 1024;

class Reader {
 public:
  void read_line(std::string_view line) noexcept {
    while (!line.empty()) {
      if (looked_at_ >= longest_look) {
        dropped_ += 1 + static_cast<std::uint64_t>(std::count(line.begin(), line.end(), ','));
        return;
      }
      const std::string_view member = take_until(line, ',');
      looked_at_ += member.size() + 1;
      read_member(trim(member));
    }
  }

  const BaggageBuilder& builder() const noexcept { return builder_; }
  std::uint64_t malformed() const noexcept { return malformed_; }
  std::uint64_t dropped() const noexcept { return dropped_; }

 private:
  void read_member(std::string_view text) noexcept {
    if (text.empty()) return;
    if (text.size() > Baggage::max_bytes) {
      ++dropped_;
      return;
    }
    std::string_view metadata = text;
    const std::string_view pair = take_until(metadata, ';');
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) {
      ++malformed_;
      return;
    }
    const std::string_view name = trim(pair.substr(0, equals));
    const std::string_view value = trim(pair.substr(equals + 1));
    if (!is_token(name) || !baggage_characters.contains_all(value)) {
      ++malformed_;
      return;
    }
    metadata = trim(metadata);
    if (!metadata.empty() && !is_baggage_metadata(metadata)) {
      ++malformed_;
      metadata = {};
    }
    if (!builder_.set({name, value, metadata}, BaggageBuilder::Value::percent_encoded)) ++dropped_;
  }

  BaggageBuilder builder_{BaggageBuilder::Measure::header};
  std::size_t looked_at_ = 0;
  std::uint64_t malformed_ = 0;
  std::uint64_t dropped_ = 0;
};

class Writer {
 public:
  // The metadata must be valid. False when the member does not fit; then nothing of it is written.
  bool add(const Baggage::Member& member) noexcept {
    const std::size_t before = size_;
    bool fits = before == 0 || put(',');
    fits = fits && put_plain(member.name) && put('=') && put_encoded(member.value);
    if (!member.metadata.empty()) fits = fits && put(';') && put_plain(member.metadata);
    if (!fits) size_ = before;
    return fits;
  }

  std::string_view text() const noexcept { return {text_.data(), size_}; }

 private:
  bool put(char c) noexcept {
    if (size_ == text_.size()) return false;
    text_[size_++] = c;
    return true;
  }
  bool put_plain(std::string_view text) noexcept {
    if (text.size() > text_.size() - size_) return false;
    size_ += text.copy(text_.data() + size_, text.size());
    return true;
  }
  bool put_encoded(std::string_view text) noexcept {
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (const char c : text) {
      if (plain_characters.contains(c)) {
        if (!put(c)) return false;
        continue;
      }
      const auto byte = static_cast<unsigned char>(c);
      if (!put('%') || !put(digits[byte >> 4]) || !put(digits[byte & 15U])) return false;
    }
    return true;
  }

  std::array<char, Baggage::max_bytes> text_;  // as far as size_ only
  std::size_t size_ = 0;
};

}  // namespace

void BaggagePropagator::inject(const Context& context, CarrierWriter& carrier) const noexcept {
  if (context.baggage.empty()) return;
  Writer writer;
  std::uint64_t dropped = 0;
  std::uint64_t without_metadata = 0;
  std::string_view last_dropped;
  std::string_view last_without_metadata;
  context.baggage.for_each([&](Baggage::Member member) {
    const bool strip = !member.metadata.empty() && !is_baggage_metadata(member.metadata);
    if (strip) member.metadata = {};
    if (!is_token(member.name) || !writer.add(member)) {
      ++dropped;
      last_dropped = member.name;
    } else if (strip) {
      ++without_metadata;
      last_without_metadata = member.name;
    }
  });
  if (!writer.text().empty()) carrier.set(baggage_name, writer.text());
  if (dropped != 0) report_baggage_dropped_on_inject(dropped, last_dropped);
  if (without_metadata != 0) report_baggage_metadata_dropped(without_metadata, last_without_metadata);
}

void BaggagePropagator::extract(const CarrierReader& carrier, Context& into) const noexcept {
  // Most messages carry none, and then the reader's tables are not set up.
  bool present = false;
  carrier.get_all(baggage_name, [&present](std::string_view) {
    present = true;
    return false;
  });
  if (!present) return;

  Reader reader;
  carrier.get_all(baggage_name, [&reader](std::string_view line) {
    reader.read_line(line);
    return true;
  });
  if (reader.builder().size() != 0) reader.builder().build(into.baggage);
  if (reader.malformed() != 0) report_malformed_baggage(reader.malformed());
  if (reader.dropped() != 0) report_baggage_dropped_on_extract(reader.dropped());
}

std::span<const std::string_view> BaggagePropagator::fields() const noexcept { return field_names; }

}  // namespace v1
}  // namespace midtrace
