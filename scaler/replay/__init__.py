"""The HPA's and KEDA's arithmetic, to try a policy on the past."""
