// Where the JSON documents of a text begin and end.
//
// Contract: next() finds one document after the other by brackets and quotes alone; whether it is valid JSON
// is for the parser to say. A document ends with its closing bracket. One that never closes (a writer was cut
// off) ends before the next line that opens an OTLP document of its own, or at the end of its first line. A
// line that starts no document is handed out as it is. After a document that turned out to be broken,
// skip_broken() moves to the next line that starts with an opening brace or bracket, and tells how far it
// went. The text is walked in linear time: after a bounded number of broken documents of several lines, only
// documents within one line are looked for. The text must outlive the object. Threads: one thread per object.
#pragma once

#include <cstddef>
#include <string_view>

namespace midtrace::view {

struct Document {
  std::string_view text;   // empty: there is no further document
  std::size_t offset = 0;  // of its first character
};

struct Position {
  std::size_t line = 1;
  std::size_t column = 1;  // in bytes
};

class Documents {
 public:
  explicit Documents(std::string_view text) : text_(text) {}

  Document next();

  // Returns the last line left out.
  std::size_t skip_broken(const Document& document);

  // Offsets must not decrease from call to call by more than one document.
  Position position(std::size_t offset);

 private:
  std::size_t line_end(std::size_t from) const;
  std::size_t closing(std::size_t from);

  std::string_view text_;
  std::size_t offset_ = 0;
  std::size_t looked_at_ = 0;   // how far the search for the end of the last document went
  std::size_t line_start_ = 0;  // start of line number line_
  std::size_t line_ = 1;
  int broken_ = 0;
};

}  // namespace midtrace::view
