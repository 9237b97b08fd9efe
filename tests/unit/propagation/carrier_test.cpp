#include <midtrace/propagation/carrier.h>

#include <gtest/gtest.h>

#include <string>

#include "support/watched_malloc.h"

namespace {

using midtrace::MapCarrier;

TEST(MapCarrier, ReplacesOnSetAndFindsExactNames) {
  MapCarrier::Map map;
  MapCarrier carrier(map);
  carrier.set("traceparent", "one");
  carrier.set("traceparent", "two");
  carrier.set("other", "three");
  EXPECT_EQ(map, (MapCarrier::Map{{"other", "three"}, {"traceparent", "two"}}));

  std::string seen;
  const auto gather = [&seen](std::string_view value) {
    seen += std::string(value) + ";";
    return true;
  };
  carrier.get_all("traceparent", gather);
  carrier.get_all("Traceparent", gather);
  carrier.get_all("absent", gather);
  EXPECT_EQ(seen, "two;");
  EXPECT_EQ(carrier.kind(), midtrace::CarrierKind::text_map);
}

TEST(MapCarrier, VisitsFieldsUntilTheVisitorHasEnough) {
  MapCarrier::Map map{{"a", "1"}, {"b", "2"}, {"c", "3"}};
  const MapCarrier carrier(map);
  std::string seen;
  carrier.for_each([&seen](std::string_view name, std::string_view value) {
    seen += std::string(name) + "=" + std::string(value) + ";";
    return name != "b";
  });
  EXPECT_EQ(seen, "a=1;b=2;");
}

TEST(MapCarrier, LosesAFieldRatherThanThrowWhenThereIsNoMemory) {
  MapCarrier::Map map;
  MapCarrier carrier(map);
  {
    const midtrace::test::NoMemory no_memory;
    carrier.set("a name that needs memory of its own", "v");
  }
  EXPECT_TRUE(map.empty());
}

}  // namespace
