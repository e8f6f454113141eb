gdla_step("config")
