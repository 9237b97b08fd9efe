// Setting: one line of what describe() prints.
#pragma once

#include <string>

namespace midtrace {
inline namespace v1 {

struct Setting {
  std::string name;
  std::string value;   // never a secret: no header's value, no password of a URL, no content of a file
  std::string origin;  // `code`, a variable's name, `default`, or another few words
};

}  // namespace v1
}  // namespace midtrace
