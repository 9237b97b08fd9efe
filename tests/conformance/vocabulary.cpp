#include "vocabulary.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <utility>

namespace midtrace_test {
namespace {

using midtrace::AttributeType;

constexpr std::pair<std::string_view, AttributeType> type_names[] = {
    {"string", AttributeType::string},
    {"boolean", AttributeType::boolean},
    {"int", AttributeType::integer},
    {"double", AttributeType::real},
    {"string[]", AttributeType::string_array},
    {"boolean[]", AttributeType::boolean_array},
    {"int[]", AttributeType::integer_array},
    {"double[]", AttributeType::real_array},
    {"template[string]", AttributeType::string},
    {"template[string[]]", AttributeType::string_array},
};

std::optional<AttributeType> type_of(std::string_view name) {
  for (const auto& [known, type] : type_names)
    if (known == name) return type;
  return std::nullopt;
}

std::string name_of(AttributeType type) {
  for (const auto& [name, known] : type_names)
    if (known == type) return std::string(name);
  return "of an unknown type";
}

std::string_view take(std::string_view& rest, char separator) {
  const std::size_t end = rest.find(separator);
  const std::string_view taken = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return taken;
}

}  // namespace

Vocabulary::Vocabulary(std::string_view text) {
  constexpr std::string_view placeholder = "<key>";
  take(text, '\n');  // the heading
  while (!text.empty()) {
    const std::string_view line = take(text, '\n');
    if (line.empty()) continue;
    std::string_view rest = line;
    const std::string_view key = take(rest, '\t');
    const auto type = type_of(take(rest, '\t'));
    if (key.empty() || !type)
      throw std::runtime_error("attributes.tsv: \"" + std::string(line) +
                               "\" must begin with a key, a tab and a type");
    if (key.ends_with(placeholder)) {
      templates_.emplace(key.substr(0, key.size() - placeholder.size()), *type);
    } else {
      types_.emplace(key, *type);
    }
  }
}

std::string Vocabulary::problem_of(std::string_view key, AttributeType type) const {
  const auto compare = [&](AttributeType expected) {
    if (expected == type) return std::string();
    return std::string(key) + " is " + name_of(type) + ", the vocabulary says " + name_of(expected);
  };
  if (const auto known = types_.find(key); known != types_.end()) return compare(known->second);
  for (const auto& [prefix, expected] : templates_)
    if (key.size() > prefix.size() && key.starts_with(prefix)) return compare(expected);
  return std::string(key) + " is not in the vocabulary";
}

const Vocabulary& vocabulary() {
  static const Vocabulary read = [] {
    std::ifstream file(MIDTRACE_VOCABULARY, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " MIDTRACE_VOCABULARY);
    return Vocabulary(std::string(std::istreambuf_iterator<char>(file), {}));
  }();
  return read;
}

std::vector<std::string> unknown_attributes(const std::vector<midtrace::testing::OwnedSpan>& spans) {
  std::vector<std::string> problems;
  const auto check = [&problems](const std::string& where,
                                 const std::vector<midtrace::testing::OwnedAttribute>& attributes) {
    for (const auto& attribute : attributes) {
      const std::string problem = vocabulary().problem_of(attribute.key, attribute.type);
      if (problem.empty()) continue;
      std::string sentence = where + ": " + problem;
      if (std::find(problems.begin(), problems.end(), sentence) == problems.end())
        problems.push_back(std::move(sentence));
    }
  };
  for (const auto& span : spans) {
    const std::string where = "span \"" + span.name + "\"";
    check(where, span.attributes);
    for (const auto& event : span.events)
      check(where + ", event \"" + event.name + "\"", event.attributes);
    for (const auto& link : span.links)
      check(where + ", a link", link.attributes);
  }
  return problems;
}

}  // namespace midtrace_test
