#include "sources/formats/page_reader.h"

namespace davy::source {

PageReader::PageReader(const Rules& rules, const std::vector<Share>& shares, std::size_t max_series)
    : catalogue_(rules, shares, max_series),
      exposition_(catalogue_),
      protobuf_(catalogue_),
      wants_histograms_(!rules.histogram.empty()),
      asks_protobuf_(wants_histograms_) {}

std::string_view PageReader::accept() const {
  return asks_protobuf_ ? "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
                          "encoding=delimited;q=0.9,application/openmetrics-text;version=1.0.0;"
                          "q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1"
                        : "application/openmetrics-text;version=1.0.0;q=0.5,"
                          "text/plain;version=0.0.4;q=0.4,*/*;q=0.1";
}

void PageReader::begin(std::string_view content_type) {
  is_protobuf_ = content_type.starts_with("application/vnd.google.protobuf");
  bool is_openmetrics = content_type.starts_with("application/openmetrics-text");
  catalogue_.begin();
  if (is_protobuf_)
    protobuf_.begin();
  else
    exposition_.begin(is_openmetrics ? TextFormat::OpenMetrics : TextFormat::Prometheus);
}

void PageReader::feed(std::string_view bytes) {
  if (is_protobuf_)
    protobuf_.feed(bytes);
  else
    exposition_.feed(bytes);
}

Result<Reading> PageReader::finish() {
  Result<Parsed> parsed = is_protobuf_ ? protobuf_.finish() : exposition_.finish();
  if (!parsed) return parsed.error();
  lines_ = parsed->lines;
  predicted_ = parsed->predicted;
  if (is_protobuf_) asks_protobuf_ = catalogue_.has_native();
  Result<Reading> reading = catalogue_.finish(*parsed);
  if (catalogue_.is_forgotten()) exposition_.forget();
  return reading;
}

}  // namespace davy::source
