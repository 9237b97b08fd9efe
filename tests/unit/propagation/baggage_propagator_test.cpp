#include <midtrace/propagation/propagator.h>

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "list_carrier.h"
#include "support/watched_malloc.h"

namespace {

using midtrace::Baggage;
using midtrace::BaggagePropagator;
using midtrace::Context;
using midtrace::Counter;
using midtrace_test::Counted;
using midtrace_test::ListCarrier;

Baggage extracted(const ListCarrier& carrier) {
  Context context;
  BaggagePropagator().extract(carrier, context);
  return context.baggage;
}

Baggage extracted(const std::string& header) { return extracted(ListCarrier{{"baggage", header}}); }

std::string injected(const Baggage& baggage) {
  ListCarrier carrier;
  BaggagePropagator().inject({{}, baggage, false}, carrier);
  return carrier.fields().empty() ? "(none)" : carrier.fields().front().second;
}

TEST(BaggageInject, WritesNothingForAnEmptyBaggage) { EXPECT_EQ(injected(Baggage()), "(none)"); }

TEST(BaggageInject, LeavesOutWhatCannotBeNamedOnTheWire) {
  const Counted counted;
  EXPECT_EQ(injected(Baggage().with("größe", "1").with("ok", "2").with("a b", "3")), "ok=2");
  EXPECT_EQ(counted[Counter::baggage_members_dropped], 2U);
  EXPECT_EQ(injected(Baggage().with("a b", "3")), "(none)");
}

TEST(BaggageInject, LeavesOutMetadataThatIsNotLegalOnTheWire) {
  EXPECT_EQ(injected(Baggage().with("a", "1", "p;q=2")), "a=1;p;q=2");
  for (const char* const metadata : {"p,q", "p=\"x\"", "=x", "p;", ";", "p q", "p=\n", "p\r\nx: y", "é"})
    EXPECT_EQ(injected(Baggage().with("a", "1", metadata)), "a=1") << metadata;
}

TEST(BaggageInject, CountsTheMembersThatItSendsWithoutTheirMetadata) {
  const Counted counted;
  const auto baggage = Baggage()
                           .with("a", "1", "p q")
                           .with("b", "2", "legal=yes")
                           .with("c", "3", "p,q")
                           .with("d", std::string(9000 / 3, ' '), "p q")
                           .with("not a token", "5", "p q");
  EXPECT_EQ(injected(baggage), "a=1,b=2;legal=yes,c=3");
  EXPECT_EQ(counted[Counter::baggage_metadata_dropped], 2U);
  EXPECT_EQ(counted[Counter::baggage_members_dropped], 2U) << "those that were not sent at all";
}

TEST(BaggageInject, DropsMembersThatDoNotFitAndKeepsTheOthers) {
  const Counted counted;
  // 3000 bytes that need three characters each make 9000 on the wire.
  const auto baggage = Baggage().with("first", "1").with("big", std::string(3000, ' ')).with("last", "2");
  EXPECT_EQ(injected(baggage), "first=1,last=2");
  EXPECT_EQ(counted[Counter::baggage_members_dropped], 1U);
}

TEST(BaggageInject, FillsAHeaderToTheLastByte) {
  const std::string value(8192 - 2, 'x');
  EXPECT_EQ(injected(Baggage().with("a", value)), "a=" + value);
  EXPECT_EQ(injected(Baggage().with("a", value + "x")), "(none)");
}

TEST(BaggageExtract, KeepsWhatIsThereWhenItFindsNothing) {
  const auto before = Baggage().with("kept", "1");
  for (const auto& carrier :
       {ListCarrier{}, ListCarrier{{"baggage", ""}}, ListCarrier{{"baggage", "broken"}}}) {
    Context context{{}, before, false};
    BaggagePropagator().extract(carrier, context);
    EXPECT_EQ(context.baggage, before);
  }
}

TEST(BaggageExtract, ReplacesAnEarlierBaggage) {
  Context context{{}, Baggage().with("old", "1"), false};
  BaggagePropagator().extract(ListCarrier{{"baggage", "new=2"}}, context);
  EXPECT_EQ(context.baggage, Baggage().with("new", "2"));
}

TEST(BaggageExtract, CountsMalformedMembersAndKeepsTheOthers) {
  const Counted counted;
  EXPECT_EQ(extracted("a=1,no pair,=x,b=\xff,c=2"), Baggage().with("a", "1").with("c", "2"));
  EXPECT_EQ(counted[Counter::extract_malformed_baggage], 3U);
}

TEST(BaggageExtract, CountsMembersOverTheLimits) {
  const Counted counted;
  std::string header;
  for (int i = 0; i < 70; ++i)
    header += "k" + std::to_string(i) + "=v,";
  EXPECT_EQ(extracted(header).size(), 64U);
  EXPECT_EQ(counted[Counter::baggage_members_dropped], 6U);
}

TEST(BaggageExtract, AddsUpAllHeaderLines) {
  const Counted counted;
  const std::string half(4094, 'x');  // 4096 with `a=`
  EXPECT_EQ(extracted({{"baggage", "a=" + half}, {"baggage", "b=" + half.substr(1)}}).size(), 2U);
  EXPECT_EQ(counted[Counter::baggage_members_dropped], 0U);
  EXPECT_EQ(extracted({{"baggage", "a=" + half}, {"baggage", "b=" + half}}).size(), 1U);
  EXPECT_EQ(counted[Counter::baggage_members_dropped], 1U);
}

TEST(BaggageExtract, ReadsHostileSizesInLinearTime) {
  const auto started = std::chrono::steady_clock::now();
  std::string members;
  while (members.size() < (8U << 20U))
    members += "a=1,b;c=%41,";
  EXPECT_EQ(extracted(members), Baggage().with("a", "1"));
  for (const char c : {',', ';', '=', '%', ' ', 'x', '\0', '\xff'})
    EXPECT_TRUE(extracted(std::string(8 << 20, c)).empty()) << c;
  EXPECT_TRUE(extracted("a=" + std::string(8 << 20, 'x')).empty());
  EXPECT_TRUE(extracted("a=1;" + std::string(8 << 20, ';')).empty());
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(20));
}

TEST(BaggageExtract, StopsLookingBehindSixtyFourKibibytes) {
  const Counted counted;
  std::string header = "first=1,";
  while (header.size() < (64U << 10U))
    header += "again=1,";
  EXPECT_EQ(extracted(header + "late=1,later=2"), Baggage().with("first", "1").with("again", "1"));
  EXPECT_EQ(counted[Counter::baggage_members_dropped], 2U);
}

TEST(BaggageExtract, KeepsTheOldBaggageWhenThereIsNoMemory) {
  const ListCarrier carrier{{"baggage", "a=1"}};
  const auto before = Baggage().with("old", "1");
  Context context{{}, before, false};
  {
    const midtrace::test::NoMemory no_memory;
    BaggagePropagator().extract(carrier, context);
  }
  EXPECT_EQ(context.baggage, before);
}

TEST(BaggageMemory, IsOneBlockPerExtractAndNonePerInject) {
  const ListCarrier incoming{{"baggage", "a=%C3%A9;p,b=2,a=3"}};
  midtrace::MapCarrier::Map map{{"baggage", std::string(60, ' ')}};
  midtrace::MapCarrier outgoing(map);
  Context context;
  const auto before = midtrace::test::allocations();
  BaggagePropagator().extract(incoming, context);
  EXPECT_EQ(midtrace::test::allocations() - before, 1U);
  BaggagePropagator().inject(context, outgoing);
  EXPECT_EQ(midtrace::test::allocations() - before, 1U);
  EXPECT_EQ(map["baggage"], "a=3,b=2");
}

TEST(BaggageFields, IsTheOneHeader) {
  const BaggagePropagator propagator;
  ASSERT_EQ(propagator.fields().size(), 1U);
  EXPECT_EQ(propagator.fields().front(), "baggage");
}

}  // namespace
