// The vocabulary check: is every attribute of these spans one that the conventions know, with its type?
//
// The vocabulary is attributes.tsv: key, type, stability and where it applies, separated by tabs, one heading
// line. Types are `string`, `boolean`, `int`, `double`, the same with `[]`, and `template[string]` for keys
// that end in `<key>`. Link the target midtrace_test_vocabulary.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <midtrace/testing/testing.h>

namespace midtrace_test {

class Vocabulary {
 public:
  // `text` is the contents of attributes.tsv. Throws std::runtime_error, with the line, when it cannot be
  // understood.
  explicit Vocabulary(std::string_view text);

  // Empty when the attribute is known with this type, otherwise a sentence.
  std::string problem_of(std::string_view key, midtrace::AttributeType type) const;
  std::size_t size() const { return types_.size() + templates_.size(); }

 private:
  std::map<std::string, midtrace::AttributeType, std::less<>> types_;
  std::map<std::string, midtrace::AttributeType, std::less<>> templates_;  // by what precedes `<key>`
};

// The one in attributes.tsv, read at the first call.
const Vocabulary& vocabulary();

// A sentence for each attribute of the spans, their events and links that is not in the vocabulary or has
// another type; every sentence once, in the order of the spans.
std::vector<std::string> unknown_attributes(const std::vector<midtrace::testing::OwnedSpan>& spans);

}  // namespace midtrace_test
