"""Jobs on Dataflow: GPU types, prices, estimates, options."""
