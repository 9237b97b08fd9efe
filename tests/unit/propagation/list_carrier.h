// A carrier of the kind that message headers are, or like HTTP's fields: an ordered list in which a name may
// repeat.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <midtrace/propagation/carrier.h>
#include <midtrace/trace/counters.h>

namespace midtrace_test {

class ListCarrier final : public midtrace::CarrierReader, public midtrace::CarrierWriter {
 public:
  using Field = std::pair<std::string, std::string>;

  ListCarrier() = default;
  ListCarrier(std::initializer_list<Field> fields) : fields_(fields) {}
  explicit ListCarrier(std::vector<Field> fields, bool like_http = false)
      : fields_(std::move(fields)), like_http_(like_http) {}

  void get_all(std::string_view name,
               midtrace::FunctionRef<bool(std::string_view)> visit) const noexcept override {
    for (const auto& field : fields_)
      if (is_named(field, name) && !visit(field.second)) return;
  }
  void for_each(
      midtrace::FunctionRef<bool(std::string_view, std::string_view)> visit) const noexcept override {
    for (const auto& field : fields_)
      if (!visit(field.first, field.second)) return;
  }
  midtrace::CarrierKind kind() const noexcept override {
    return like_http_ ? midtrace::CarrierKind::http : midtrace::CarrierKind::text_map;
  }
  void set(std::string_view name, std::string_view value) noexcept override {
    std::erase_if(fields_, [name](const Field& field) { return field.first == name; });
    fields_.emplace_back(name, value);
  }

  const std::vector<Field>& fields() const { return fields_; }
  // All fields as `name: value` lines.
  std::string text() const {
    std::string result;
    for (const auto& [name, value] : fields_)
      result += name + ": " + value + "\n";
    return result;
  }

 private:
  // On HTTP in any case.
  bool is_named(const Field& field, std::string_view name) const noexcept {
    const auto same = [this](char a, char b) {
      return a == b || (like_http_ && a >= 'A' && a <= 'Z' && a - 'A' + 'a' == b);
    };
    return std::equal(field.first.begin(), field.first.end(), name.begin(), name.end(), same);
  }

  std::vector<Field> fields_;
  bool like_http_ = false;
};

// How often something was counted since this object was made.
class Counted {
 public:
  std::uint64_t operator[](midtrace::Counter counter) const {
    return midtrace::counters()[counter] - at_start_[counter];
  }

 private:
  midtrace::Counters at_start_ = midtrace::counters();
};

}  // namespace midtrace_test
