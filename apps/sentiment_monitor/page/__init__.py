"""The page: time series of each topic, alerts and headlines, without anything from elsewhere."""
