"""What one packet costs, stage by stage."""
