// Variables: an environment made of a map, which also keeps the sentences it was warned with.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "config/environment.h"

namespace midtrace_test {

class Variables {
 public:
  Variables(std::initializer_list<std::pair<const std::string, std::string>> values) : values_(values) {}

  midtrace::Environment environment() {
    return midtrace::Environment(
        [this](const char* variable) -> const char* {
          const auto found = values_.find(variable);
          return found == values_.end() ? nullptr : found->second.c_str();
        },
        [this](std::string_view, std::string_view sentence) { warnings.emplace_back(sentence); });
  }

  std::vector<std::string> warnings;

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace midtrace_test
