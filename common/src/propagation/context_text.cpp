#include <midtrace/propagation/context_text.h>

#include <midtrace/propagation/propagator.h>

namespace midtrace {
inline namespace v1 {

namespace {

constexpr std::string_view separator = ": ";

std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view blanks = " \t\r";
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

class LineWriter final : public CarrierWriter {
 public:
  explicit LineWriter(std::string& text) noexcept : text_(text) {}

  void set(std::string_view name, std::string_view value) noexcept override {
    try {
      const std::size_t needed = name.size() + separator.size() + value.size() + 1;
      text_.reserve(text_.size() + needed);
      if (!text_.empty()) text_.push_back('\n');
      text_.append(name).append(separator).append(value);
    } catch (...) {
      failed_ = true;
    }
  }
  bool failed() const noexcept { return failed_; }

 private:
  std::string& text_;
  bool failed_ = false;
};

// Lines of `name: value`; a line without a colon is a traceparent.
class LineReader final : public CarrierReader {
 public:
  explicit LineReader(std::string_view text) noexcept : text_(text) {}

  void get_all(std::string_view name, FunctionRef<bool(std::string_view)> visit) const noexcept override {
    for_each([&](std::string_view field, std::string_view value) { return field != name || visit(value); });
  }
  void for_each(FunctionRef<bool(std::string_view, std::string_view)> visit) const noexcept override {
    for (std::string_view rest = text_; !rest.empty();) {
      const std::size_t end = rest.find('\n');
      const std::string_view line = trimmed(rest.substr(0, end));
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
      if (line.empty()) continue;
      const std::size_t colon = line.find(':');
      const bool named = colon != std::string_view::npos;
      const std::string_view name = named ? trimmed(line.substr(0, colon)) : "traceparent";
      if (!visit(name, named ? trimmed(line.substr(colon + 1)) : line)) return;
    }
  }

 private:
  std::string_view text_;
};

}  // namespace

std::string context_to_text(const Context& context) noexcept {
  std::string text;
  LineWriter writer(text);
  TraceContextPropagator().inject(context, writer);
  BaggagePropagator().inject(context, writer);
  if (writer.failed()) text.clear();
  return text;
}

Context context_from_text(std::string_view text) noexcept {
  Context context;
  const LineReader reader(text);
  TraceContextPropagator().extract(reader, context);
  BaggagePropagator().extract(reader, context);
  return context;
}

}  // namespace v1
}  // namespace midtrace
