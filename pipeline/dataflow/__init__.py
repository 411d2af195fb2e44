"""Jobs on Dataflow: GPU types, prices, estimated times, options."""
