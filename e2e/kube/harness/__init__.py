"""What tests of the chart have beyond `support.kube`: components as processes, and the values one by one."""
